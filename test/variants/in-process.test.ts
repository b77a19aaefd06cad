/* The suites of behaviour over a second gateway, without sockets. */
process.env.GATEWAY = "in-process";
for (const suite of ["contract", "privacy"]) await import(`../${suite}.test.ts`);
