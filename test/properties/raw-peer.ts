import { Decoder, Encoder, type Packet, PacketType } from "socket.io-parser";
import type { EngineClient } from "../support/engine-client.ts";
import { textFrame } from "../support/frames.ts";
import { PollingClient } from "../support/polling-client.ts";
import { WebSocketClient } from "../support/websocket-client.ts";
import type { Peer, PeerListener, PeerOptions } from "./peer.ts";

/** The hand-driven client. It connects again as the stock one does. */
export class RawPeer implements Peer {
  readonly #options: PeerOptions;
  readonly #listener: PeerListener;
  #engine!: EngineClient;
  #isConnected = false;
  #isLost = false;
  #isClosed = false;
  #replies = new Map<number, (reply: unknown) => void>();
  #requests = 0;

  constructor(options: PeerOptions, listener: PeerListener) {
    this.#options = options;
    this.#listener = listener;
    this.#open();
  }

  request(event: string, args: unknown[], replied: (reply: unknown) => void): void {
    this.#replies.set(++this.#requests, replied);
    this.#send({ type: PacketType.EVENT, data: [event, ...args], id: this.#requests });
  }

  restart(): void {
    this.#engine.close();
    // It stops polling, so it does not learn that the session ends.
    if (this.#engine instanceof PollingClient) this.#lost(this.#engine, "closed");
  }

  /** Drops a WebSocket in the middle of a frame, or begins an upgrade that it does not finish. */
  misbehave(): void {
    const engine = this.#engine;
    if (engine instanceof WebSocketClient) {
      const frame = textFrame(`4${this.#encode({ type: PacketType.EVENT, data: ["chat", "half a frame"] })}`);
      void engine.write(frame.subarray(0, frame.length / 2)).then(() => engine.socket.destroySoon());
    } else if (engine.sid) {
      const probe = new WebSocketClient(this.#options.url, { sid: engine.sid });
      probe.onPacket = () => probe.drop();
      probe.send("2probe");
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#engine.drop();
  }

  #open(): void {
    const Engine = this.#options.way === "raw websocket" ? WebSocketClient : PollingClient;
    const engine = new Engine(this.#options.url);
    this.#engine = engine;
    this.#isLost = false;
    const decoder = new Decoder();
    decoder.on("decoded", (packet) => this.#receive(packet));
    engine.onPacket = (packet) => {
      if (packet[0] !== "4") return;
      try {
        decoder.add(packet.slice(1));
      } catch (error) {
        throw new Error(`cannot decode ${JSON.stringify(packet)}`, { cause: error });
      }
    };
    const connect = () => this.#send({ type: PacketType.CONNECT, data: this.#listener.handshake() });
    engine.opened.then(connect, () => {});
    void engine.closed.then(({ code, reason }) => this.#lost(engine, `${code} ${reason}`));
  }

  #lost(engine: EngineClient, reason: string): void {
    if (engine !== this.#engine || this.#isLost) return;
    this.#isLost = true;
    engine.drop();
    this.#replies.clear();
    if (this.#isConnected) this.#listener.disconnected(reason);
    this.#isConnected = false;
    if (!this.#isClosed) setTimeout(() => this.#isClosed || this.#open(), this.#options.reconnectionDelayMs);
  }

  #receive({ type, data, id }: Packet): void {
    if (type === PacketType.CONNECT) {
      this.#isConnected = true;
      this.#listener.connected();
    } else if (type === PacketType.CONNECT_ERROR || type === PacketType.DISCONNECT)
      this.#listener.refused(JSON.stringify(data));
    else if (type === PacketType.ACK) this.#reply(id as number, data[0]);
    else if (data[0] === "res") this.#listener.received(data[1]);
    else if (data[0] === "sync") this.#listener.synced(data[1]);
  }

  #reply(id: number, reply: unknown): void {
    this.#replies.get(id)?.(reply);
    this.#replies.delete(id);
  }

  #send(packet: Omit<Packet, "nsp">): void {
    this.#engine.send(`4${this.#encode(packet)}`);
  }

  #encode(packet: Omit<Packet, "nsp">): string {
    return new Encoder().encode({ ...packet, nsp: this.#options.namespace } as Packet)[0] as string;
  }
}
