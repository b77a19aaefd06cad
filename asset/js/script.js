import { literal } from "./wire.js";

/** How many events a script repeats; a longer story loses its beginning. */
export const longestScript = 200;

/**
 * A complete Node script that does what this window has done: connects as it did, and sends what it sent.
 *
 * @param {string} origin the server's address
 * @param {import("./link.js").Entry} entry
 * @param {{ event: string, args: unknown[] }[]} sent
 */
export function script(origin, { userId, room, namespace }, sent) {
  const auth = literal({ userId: userId || undefined, room: room ? [room] : [] });
  return `// Save as talk.mjs, then: npm install socket.io-client && node talk.mjs
import { io } from "socket.io-client";

const socket = io(${literal(origin + namespace)}, { auth: ${auth} });

socket.onAny((event, ...args) => console.log("heard", event, ...args));
await new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));

async function send(...args) {
  console.log("sent", ...args, "→", await socket.emitWithAck(...args));
}

${sent.map(({ event, args }) => `await send(${[event, ...args].map(literal).join(", ")});`).join("\n")}

socket.disconnect();
`;
}
