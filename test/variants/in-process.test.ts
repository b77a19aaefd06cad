/* The suites of behaviour over a second gateway, without sockets. */
const suites = ["contract", "direct", "history", "presence", "privacy", "publish", "recovery"];
process.env.GATEWAY = "in-process";
for (const suite of suites) await import(`../${suite}.test.ts`);
