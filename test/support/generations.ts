import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

// From Node 22 on, clients before 3.0 use Node's own WebSocket, which cannot send headers, instead of `ws`.
Reflect.deleteProperty(globalThis, "WebSocket");

/** The interface that all generations of socket.io-client share. */
export interface AnyClient {
  // biome-ignore lint/suspicious/noExplicitAny: an event may have any arguments
  on(event: string, listener: (...args: any[]) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  once(event: string, listener: (...args: any[]) => void): unknown;
  emit(event: string, ...args: unknown[]): unknown;
  disconnect(): unknown;
  readonly io: {
    engine: { id: string; transport: { name: string }; once(event: string, listener: () => void): unknown };
  };
}

export type Connect = (url: string, options: object) => AnyClient;

/** Every generation of socket.io-client that is tested, by its version. */
export const generations: { version: string; connect: Connect }[] = [
  { version: "1.2.0", connect: withHostAsOrigin(require("socket.io-client-1.2")) },
  { version: "1.7.4", connect: require("socket.io-client-1.7") },
  { version: "2.5.0", connect: require("socket.io-client-2.5") },
  { version: "3.1.3", connect: require("socket.io-client-3.1") },
  { version: "4.0.2", connect: require("socket.io-client-4.0") },
  { version: "4.8.4", connect: require("socket.io-client") },
];

/**
 * The `ws` that came with engine.io-client 1.4 sends its Host as its Origin. That version can no longer be
 * installed, and its replacement sends no Origin.
 */
function withHostAsOrigin(connect: Connect): Connect {
  return (url, options) => connect(url, { ...options, extraHeaders: { Origin: new URL(url).host } });
}
