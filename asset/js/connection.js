/* global io */
import { longestScript } from "./script.js";
import { answered, authorized, comeIn, expired, greeted, heard, moved, remark, saidBye } from "./state.js";
import { advice, ending, sentence } from "./words.js";

const longestAckMs = 10_000;

/**
 * The socket of the page. What it hears goes into the state.
 *
 * @param {ReturnType<import("./state.js").createState>} state
 * @param {() => void} changed called after the state has changed
 */
export function createConnection(state, changed) {
  let socket;

  /** Connects as the entry says; whatever was connected before is let go. */
  function connect() {
    comeIn(state);
    const old = socket;
    socket = io(state.namespace, {
      forceNew: true,
      // Asked for anew at each attempt: who comes back is in the rooms it was in, under the name it had.
      auth: (give) => give(handshake()),
    });
    old?.disconnect();
    listen(socket);
    setStatus("connecting");
  }

  const handshake = () => ({
    userId: state.userId || state.entry.userId || undefined,
    room: state.wanted,
    token: state.token || undefined,
  });

  /** Ends the connection until one connects by hand. */
  function disconnect() {
    socket.disconnect();
    if (state.status !== "offline") setStatus("offline", ending("io client disconnect"));
  }

  /**
   * Sends an event.
   *
   * @throws {Error} in words, if the server refused it or no ack came
   */
  async function send(event, ...args) {
    // A token belongs into no script, which has one from whoever runs it.
    if (event !== "auth") state.sent = [...state.sent, { event, args }].slice(-longestScript);
    const { ack, lost } = await new Promise((resolve) => emit(event, args, resolve));
    if (lost) throw new Error("The server did not answer. Your message may not have arrived.");
    if (ack?.error) throw new Error(ack.error.message);
  }

  /** Emits, and keeps on the wire what came of it. The ack takes effect in its place among what is heard. */
  function emit(event, args, done = () => {}) {
    const entry = state.wire.add("out", event, args);
    const start = performance.now();
    socket.timeout(longestAckMs).emit(event, ...args, (error, ack) => {
      if (error) entry.lost = true;
      else {
        entry.ack = ack;
        entry.latencyMs = state.roundTripMs = performance.now() - start;
        if (!ack?.error && (event === "join" || event === "leave")) moved(state, ack);
        if (!ack?.error && event === "msg") answered(state, [ack]);
        if (!ack?.error && event === "auth") authorized(state, args[0], ack);
      }
      changed();
      done(entry);
    });
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
    on(mine, "connect_error", ({ message, data }) => {
      if (mine.active) setStatus("reconnecting");
      else goOut("refused", message, data?.code);
    });
    on(mine, "disconnect", (reason) => {
      const dismissed = reason === "io server disconnect";
      const code = dismissed && state.expired && !saidBye(state) ? "token_expired" : undefined;
      const why = ending(code ?? reason);
      remark(state, [why]);
      if (dismissed && !code) state.rooms = new Map();
      if (mine.active) setStatus("reconnecting");
      else goOut("offline", why, code);
    });
    on(mine, "error", ({ event, error }) => {
      if (event === "auth" && error.code === "token_expired") expired(state);
    });
    on(mine.io, "reconnect_attempt", (attempt) => {
      state.attempt = attempt;
    });
    on(mine.io, "open", () => {
      const { engine } = mine.io;
      state.transport = engine.transport.name;
      on(engine, "upgrade", ({ name }) => {
        state.transport = `${name}, upgraded`;
      });
    });
    mine.onAny((event, ...args) => mine === socket && state.wire.add("in", event, args));
    on(mine, "res", (message) => {
      if (message.room !== null) return heard(state, message);
      greeted(state, message);
      // Joining again says nothing to the room, and is acked with its number of members.
      for (const room of message.rooms) emit("join", [room]);
    });
    on(mine, "reply", (text) => answered(state, [text]));
    on(mine, "bye", (context) =>
      answered(state, ["The last thing you said: ", ...(context ? sentence(context) : ["nothing"])]),
    );
  }

  /** One is out until one connects by hand: says why, and what to do where a token would mend it. */
  function goOut(status, why, code) {
    const todo = advice(code, state.token !== "");
    if (todo) state.focus = "token";
    setStatus(status, todo ? `${why} ${todo}` : why);
  }

  function setStatus(status, reason = "") {
    Object.assign(state, { status, reason });
    if (status === "connected") state.attempt = 0;
    changed();
  }

  return { connect, disconnect, send };
}
