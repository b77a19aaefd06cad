/* The suites of behaviour on Socket.IO's own engine, which must behave like roomcast's. */
process.env.ENGINE = "stock";
for (const suite of ["contract", "generations", "handshake", "privacy"]) await import(`../${suite}.test.ts`);
