import { literal } from "./wire.js";

/** The most events that a script repeats. A longer session loses its beginning. */
export const longestScript = 200;

/**
 * A complete Node script that connects as a window did, and sends what it sent.
 *
 * @param {string} address of the server, with the namespace
 * @param {{ userId: string, room: string[] }} auth
 * @param {{ event: string, args: unknown[] }[]} sent
 * @param {boolean} asksForToken whether it reads a token from its environment
 */
export const script = (
  address,
  auth,
  sent,
  asksForToken,
) => `// Save as talk.mjs, then: npm install socket.io-client && ${asksForToken ? "TOKEN='your token' " : ""}node talk.mjs
import { io } from "socket.io-client";

const socket = io(${literal(address)}, { auth: ${asksForToken ? withToken(auth) : literal(auth)} });

socket.onAny((event, ...args) => console.log("received", event, ...args));
await new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));

async function send(...args) {
  console.log("sent", ...args, "→", await socket.emitWithAck(...args));
}

${sent.map(({ event, args }) => `await send(${[event, ...args].map(literal).join(", ")});`).join("\n")}

socket.disconnect();
`;

const withToken = (auth) => `{ ...${literal(auth)}, token: process.env.TOKEN }`;
