import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** The resources that a server has used since it started. */
export interface Usage {
  cpuMs: number;
  heapBytes: number;
  rssBytes: number;
  /** In a cluster: the bytes that Redis has sent to the idle node. */
  idleNodeBytes?: number;
}

/** A server that runs, on one node or on several. */
export interface MeasuredServer {
  /** The port of each node that clients connect to. */
  ports: readonly [number, ...number[]];
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

const script = fileURLToPath(new URL("server.ts", import.meta.url));

/**
 * Starts a server in its own process.
 *
 * @param nodeOptions further options of Node
 * @param redis the URL of the Redis that it shares with other nodes
 */
export async function startServer(
  name: string,
  workload: string,
  nodeOptions: string[],
  redis?: string,
): Promise<MeasuredServer> {
  const child = fork(script, [name, workload, ...(redis ? [redis] : [])], {
    execArgv: ["--import", "tsx", "--expose-gc", ...nodeOptions],
  });
  const exited = once(child, "exit");
  const failed = exited.then(() => {
    throw new Error(`the server "${name}" has exited`);
  });
  // Also rejects when `stop` ends the process.
  failed.catch(() => {});
  const reply = async () => {
    const [message] = await Promise.race([once(child, "message"), failed]);
    return message;
  };
  const { port } = await reply();
  return {
    ports: [port],
    usage() {
      child.send("usage");
      return reply();
    },
    async stop() {
      child.disconnect();
      await exited;
    },
  };
}
