import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/*
 * Runs the suites named in the variable SUITES in one process, because a quick suite takes most of its time
 * to load the server and the clients.
 */
for (const suite of (process.env.SUITES ?? "").split(",")) await import(pathToFileURL(resolve(suite)).href);
