/* The suites of behaviour with every second client on a second gateway, so that both share each room. */
process.env.GATEWAY = "mixed";
for (const suite of ["contract", "privacy"]) await import(`../${suite}.test.ts`);
