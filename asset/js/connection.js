/* global io */
import { acked } from "./acks.js";
import { opened, presence, received, receivedDirect, synced, welcomed } from "./incoming.js";
import { pageSize } from "./room.js";
import { longestScript } from "./script.js";
import { answered, prepareConnect, remark, saidBye, showKnownRoom } from "./state.js";
import { advice, ending, sentence } from "./words.js";

const longestAckMs = 10_000;

/** Events that the page sends by itself. They are on the wire, but not in the script. */
const automatic = ["watch", "history"];

/**
 * The socket of the page. It applies what it receives to the state.
 *
 * @param {ReturnType<import("./state.js").createState>} state
 * @param {() => void} changed called after the state has changed
 */
export function createConnection(state, changed) {
  let socket;

  /** Connects with the values of the form. The previous connection ends. */
  function connect() {
    prepareConnect(state);
    const old = socket;
    socket = io(state.namespace, {
      forceNew: true,
      // Called at each attempt: a reconnect asks for the rooms it was in, under the same name.
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
    since: Object.fromEntries(
      [...state.rooms].flatMap(([name, { cursor }]) => (cursor ? [[name, cursor]] : [])),
    ),
    last: pageSize,
  });

  /** Ends the connection until the user connects again. */
  function disconnect() {
    socket.disconnect();
    if (state.status !== "offline") setStatus("offline", ending("io client disconnect"));
  }

  /**
   * Sends an event.
   *
   * @returns {Promise<unknown>} the ack
   * @throws {Error} with a sentence, if the server refused the event or no ack came
   */
  async function send(event, ...args) {
    // Whoever runs the script has a token of their own.
    if (event !== "auth" && !automatic.includes(event)) record(event, args);
    const { ack, lost } = await new Promise((resolve) => emit(event, args, resolve));
    if (lost) throw new Error("The server did not answer. Your message may not have arrived.");
    if (ack?.error) throw new Error(ack.error.message);
    return ack;
  }

  /** Sends an event without asking for an ack. */
  function sendOnly(event, ...args) {
    socket.emit(event, ...args);
    state.wire.add("out", event, args);
    if (event !== "auth") record(event, args);
    changed();
  }

  function record(event, args) {
    state.sent = [...state.sent, { event, args }].slice(-longestScript);
  }

  /** Emits an event. Its ack takes effect in order with the other events. */
  function emit(event, args, done = () => {}) {
    const entry = state.wire.add("out", event, args);
    const start = performance.now();
    socket.timeout(longestAckMs).emit(event, ...args, (error, ack) => {
      if (error) entry.lost = true;
      else {
        entry.ack = ack;
        entry.latencyMs = state.roundTripMs = performance.now() - start;
        if (!ack?.error) acked(state, event, args, ack);
        if (!ack?.error && event === "join") emit("watch", [ack.room]);
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
      on(mine, mine.id, (message) => receivedDirect(state, message));
      setStatus("connected");
    });
    on(mine, "connect_error", ({ message, data }) => {
      if (mine.active) setStatus("reconnecting");
      else stayOffline("refused", message, data?.code);
    });
    on(mine, "disconnect", (reason) => {
      mine.off(state.socketId);
      ended(reason, mine.active);
    });
    listenToTransport(mine.io, on);
    mine.onAny((event, ...args) => mine === socket && state.wire.add("in", event, args));
    listenToEvents(mine, on);
  }

  function listenToTransport(manager, on) {
    const onHandshake = () => on(manager.engine, "handshake", (packet) => opened(state, packet));
    onHandshake();
    on(manager, "reconnect_attempt", (attempt) => {
      state.attempt = attempt;
      // The manager creates the engine of this attempt right after the event.
      queueMicrotask(onHandshake);
    });
    on(manager, "open", () => {
      const { engine } = manager;
      state.transport = engine.transport.name;
      on(engine, "upgrade", ({ name }) => {
        state.transport = `${name}, upgraded`;
      });
    });
  }

  function listenToEvents(mine, on) {
    on(mine, "res", (message) => {
      if (message.room !== null) return received(state, message);
      if (message.type !== "connected") return receivedDirect(state, message);
      welcomed(state, message);
      for (const room of message.rooms) emit("watch", [room]);
    });
    on(mine, "sync", (verdict) => synced(state, verdict));
    on(mine, "presence", (change) => presence(state, change));
    on(mine, "reply", (text) => answered(state, [text]));
    on(mine, "bye", (context) =>
      answered(state, ["Your last message: ", ...(context ? sentence(context) : ["nothing"])]),
    );
    on(mine, "error", ({ event, error }) => {
      if (event === "auth" && error.code === "token_expired") return expired();
      state.complaint = error.message;
    });
  }

  /** The token has expired; the server waits a while for a new one. */
  function expired() {
    state.expired = true;
    state.complaint = "Your token has expired. Send a new one with /auth.";
    remark(state, ["Your token has expired"]);
  }

  function ended(reason, comesBack) {
    const dismissed = reason === "io server disconnect";
    const code = dismissed && state.expired && !saidBye(state) ? "token_expired" : undefined;
    const why = ending(code ?? (dismissed && saidBye(state) ? "bye" : reason));
    remark(state, [why]);
    if (dismissed && !code) state.rooms = new Map();
    if (comesBack) setStatus("reconnecting");
    else stayOffline("offline", why, code);
  }

  /** The page is disconnected until the user connects again: says why, and what to do if a token would help. */
  function stayOffline(status, why, code) {
    const todo = advice(code, state.token !== "");
    if (todo) state.focus = "token";
    showKnownRoom(state);
    setStatus(status, todo ? `${why} ${todo}` : why);
  }

  function setStatus(status, reason = "") {
    Object.assign(state, { status, reason });
    if (status === "connected") state.attempt = 0;
    changed();
  }

  return { connect, disconnect, send, sendOnly };
}
