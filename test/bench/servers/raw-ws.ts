import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

/** The least work that Node can do: only `ws`, one write per connection and turn, and no checks. */
export async function rawWs(): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
  const rooms = new Map<string, Set<WebSocket>>();
  const outboxes = new Map<WebSocket, Buffer[]>();
  const frame = (text: string) => {
    const payload = Buffer.from(text);
    const { length } = payload;
    const header = length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from(header), payload]);
  };
  let count = 0;
  const push = (socket: WebSocket, data: Buffer) => {
    if (outboxes.size === 0) setImmediate(flush);
    const outbox = outboxes.get(socket);
    if (outbox) outbox.push(data);
    else outboxes.set(socket, [data]);
  };
  const flush = () => {
    let last: Buffer[] = [];
    let joined = Buffer.alloc(0);
    for (const [socket, frames] of outboxes) {
      const same = frames.length === last.length && frames.every((one, index) => one === last[index]);
      if (!same) [last, joined] = [frames, Buffer.concat(frames)];
      (socket as never as { _socket: { write(data: Buffer): void } })._socket.write(joined);
    }
    outboxes.clear();
  };
  server.on("connection", (socket, request) => {
    const query = new URL(request.url ?? "", "http://localhost").searchParams;
    const [room, userId] = [query.get("room") ?? "", query.get("userId") ?? ""];
    const members = rooms.get(room) ?? new Set();
    rooms.set(room, members.add(socket));
    push(socket, frame(`0{"sid":"${++count}","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`));
    socket.on("close", () => members.delete(socket));
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const text = String(data);
      if (text === "40") return push(socket, frame(`40{"sid":"${count}"}`));
      const start = text.indexOf("[");
      if (start < 0) return;
      const [, said] = JSON.parse(text.slice(start));
      const message = { id: `${++count}`.padStart(23, "0"), userId, text: `<= ${said}`, state: "normal" };
      const rest = { namespace: "/", room, rooms: [room], at: Date.now() };
      const shared = frame(`42${JSON.stringify(["res", { ...message, ...rest }])}`);
      for (const member of members) push(member, shared);
      const ack = [{ id: message.id, rooms: [room], recipients: members.size }];
      if (start > 2) push(socket, frame(`43${text.slice(2, start)}${JSON.stringify(ack)}`));
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}
