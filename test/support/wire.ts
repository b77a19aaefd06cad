import { once } from "node:events";
import { connect as openTcp, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** A TCP connection for hand-written HTTP requests. */
export class Wire {
  received = "";
  readonly tcp: Socket;

  /** @param to a port of 127.0.0.1, or the path of a Unix socket */
  constructor(t: TestContext, to: number | string) {
    this.tcp = (typeof to === "number" ? openTcp(to, "127.0.0.1") : openTcp(to)).on("error", () => {});
    this.tcp.on("data", (data) => {
      this.received += data.toString("latin1");
    });
    t.after(() => this.tcp.destroy());
  }

  /** Sends requests in one write. */
  send(...requests: (string | [target: string, ...lines: string[]])[]): void {
    this.tcp.write(
      requests.map((request) => head(typeof request === "string" ? [request] : request)).join(""),
    );
  }

  /** The status of each response that has begun to arrive. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
  }

  get closed(): Promise<unknown> {
    return this.tcp.closed ? Promise.resolve() : once(this.tcp, "close");
  }
}

/**
 * The method defaults to `GET`; the lines are headers, followed by an empty line and a body if there is one.
 */
function head([target, ...lines]: [target: string, ...lines: string[]]): string {
  const [method, path] = target.includes(" ") ? target.split(" ") : ["GET", target];
  const end = lines.includes("") ? "" : "\r\n\r\n";
  return `${[`${method} ${path} HTTP/1.1`, "Host: x", ...lines].join("\r\n")}${end}`;
}
