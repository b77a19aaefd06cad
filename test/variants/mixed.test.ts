/* The suites of behaviour with every second client on a second gateway, so that both share each room. */
const suites = ["contract", "direct", "history", "presence", "privacy", "publish", "recovery"];
process.env.GATEWAY = "mixed";
for (const suite of suites) await import(`../${suite}.test.ts`);
