/* global io */
import { longestScript } from "./script.js";
import { answered, comeIn, greeted, heard, moved, remark } from "./state.js";
import { ending } from "./words.js";

const longestAckMs = 10_000;

/**
 * The socket of the page. What it hears goes into the state.
 *
 * @param {ReturnType<import("./state.js").createState>} state
 * @param {() => void} changed called after the state has changed
 */
export function createConnection(state, changed) {
  let socket;

  /** Connects as the entry says; who comes back under the same name is in the rooms it was in. */
  function connect() {
    const { userId, namespace } = state.entry;
    comeIn(state);
    socket?.disconnect();
    socket = io(namespace, {
      forceNew: true,
      // Asked for anew at each attempt: who comes back is in the rooms it was in, under the name it had.
      auth: (give) => give({ userId: state.userId || userId || undefined, room: [...state.rooms.keys()] }),
    });
    listen(socket);
    setStatus("connecting");
  }

  /** Ends the connection until one connects by hand. */
  function disconnect() {
    socket.disconnect();
    if (state.status !== "offline") setStatus("offline", ending("io client disconnect"));
  }

  /**
   * Sends an event.
   *
   * @returns the ack's reply
   * @throws {Error} in words, if the server refused it or no ack came
   */
  async function send(event, ...args) {
    const entry = state.wire.add("out", event, args);
    state.sent = [...state.sent, { event, args }].slice(-longestScript);
    const start = performance.now();
    try {
      entry.ack = await socket.timeout(longestAckMs).emitWithAck(event, ...args);
    } catch {
      throw Object.assign(new Error("No answer came; it may not have arrived."), { lost: true });
    }
    entry.latencyMs = state.roundTripMs = performance.now() - start;
    changed();
    if (entry.ack?.error) throw new Error(entry.ack.error.message);
    if (event === "join" || event === "leave") moved(state, entry.ack);
    if (event === "msg") answered(state, entry.ack);
    return entry.ack;
  }

  function listen(mine) {
    const on = (emitter, event, react) =>
      emitter.on(event, (...args) => {
        if (mine !== socket) return;
        react(...args);
        changed();
      });

    on(mine, "connect", () => {
      state.socketId = mine.id;
      setStatus("connected");
    });
    on(mine, "connect_error", (error) => {
      if (mine.active) setStatus("reconnecting", "The server cannot be reached.");
      else setStatus("turned away", error.message);
    });
    on(mine, "disconnect", (reason) => {
      remark(state, ending(reason));
      if (reason === "io server disconnect") state.rooms.clear();
      setStatus(mine.active ? "reconnecting" : "offline", ending(reason));
    });
    on(mine.io, "reconnect_attempt", (attempt) => {
      state.attempt = attempt;
    });
    on(mine.io, "open", () => watchTransport(mine));
    mine.onAny((event, ...args) => state.wire.add("in", event, args));
    on(mine, "res", (message) => {
      if (message.room !== null) return heard(state, message);
      greeted(state, message);
      for (const room of message.rooms) void countMembers(room);
    });
    on(mine, "reply", (text) => answered(state, text));
    on(mine, "bye", (context) => answered(state, `The last thing you said: ${context?.text ?? "nothing"}`));
  }

  /** Joining again says nothing to the room, and is acked with its number of members. */
  async function countMembers(room) {
    const reply = await socket.emitWithAck("join", room);
    if (!reply.error) moved(state, reply);
    changed();
  }

  function watchTransport({ io: { engine } }) {
    const name = () => {
      state.transport = engine.transport.name;
      changed();
    };
    name();
    engine.on("upgrade", name);
  }

  function setStatus(status, reason = "") {
    state.status = status;
    state.reason = reason;
    if (status === "connected") state.attempt = 0;
    changed();
  }

  return { connect, disconnect, send };
}
