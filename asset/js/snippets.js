import { literal } from "./wire.js";

/*
 * The shortest clients that miss nothing, for this server's address.
 */

/** @typedef {{ url: string, userId: string, room: string }} Target the address with the namespace, and the handshake */

const socket = ({ url, userId, room }, types = "") => `const socket${types} = io(${literal(url)}, {
  auth: (cb) => cb({ userId: ${literal(userId)}, room: [${literal(room)}], since }),
});

socket.on("sync", ({ room, offset, status }) => {
  since[room] = offset;
  if (status === "gap") console.warn(\`some messages in \${room} may be lost\`);
});
socket.on("res", (message) => {
  if (message.offset) since[message.room${types && "!"}] = message.offset;
  console.log(message.userId, message.data ?? message.text);
});
socket.on("connect_error", (error) => console.error(error.message));

socket.emit("chat", "hello", ${literal(room)}, (ack) => console.log(ack));
`;

const javascript = (target) => `// npm install socket.io-client
import { io } from "socket.io-client";

const since = {}; // the last offset of each room
${socket(target)}`;

const typescript = (target) => `// npm install socket.io-client
import { io, type Socket } from "socket.io-client";
import type { ChatEvents, ServerEvents } from "roomcast/protocol";

const since: Record<string, string> = {}; // the last offset of each room
${socket(target, ": Socket<ServerEvents, ChatEvents>")}`;

const python = ({ url, userId, room }) => {
  const { origin, pathname } = new URL(url);
  const namespace = literal(pathname);
  return `# pip install "python-socketio[client]"
import socketio

since = {}  # the last offset of each room
sio = socketio.Client()

@sio.on("sync", namespace=${namespace})
def sync(verdict):
    since[verdict["room"]] = verdict["offset"]
    if verdict["status"] == "gap":
        print("some messages in", verdict["room"], "may be lost")

@sio.on("res", namespace=${namespace})
def res(message):
    if message["offset"]:
        since[message["room"]] = message["offset"]
    print(message["userId"], message.get("data", message["text"]))

handshake = {"userId": ${literal(userId)}, "room": [${literal(room)}], "since": since}
sio.connect(${literal(origin)}, auth=handshake, namespaces=[${namespace}])
sio.emit("chat", ("hello", ${literal(room)}), namespace=${namespace}, callback=print)
sio.wait()
`;
};

/** @type {Record<string, (target: Target) => string>} by language */
export const snippets = { JavaScript: javascript, TypeScript: typescript, Python: python };
