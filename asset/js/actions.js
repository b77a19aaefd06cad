import { copy } from "./clipboard.js";
import { commands, commandsOf, parse } from "./commands.js";
import { emitRaw } from "./emit.js";
import { linkTo } from "./link.js";
import { pageSize } from "./room.js";
import { answered, closeConversation, openConversation, removeRoom, show } from "./state.js";
import { everything, roomView, userView } from "./views.js";

const saidForMs = 2_500;

/** What a user can do, for the views to call. `redraw` draws the next frame, `draw` draws at once. */
export function createActions(state, connection, { redraw, draw }) {
  /** Changes the state and draws it at once: what the user types next belongs to what is shown. */
  function update(change) {
    change(state);
    draw();
  }

  /** Sends an event and says what went wrong. @returns the ack, or undefined if it failed */
  async function send(event, ...args) {
    state.complaint = "";
    try {
      return (await connection.send(event, ...args)) ?? null;
    } catch (error) {
      state.complaint = error.message;
    } finally {
      redraw();
    }
  }

  /** Enters a room with its newest messages, and shows it. @returns whether that went well */
  async function join(room) {
    const since = state.rooms.get(room)?.cursor;
    if (!(await send("join", room, since ? { since } : { last: pageSize }))) return false;
    update(() => show(state, roomView(room)));
    return true;
  }

  /** Sends a text to a user, and shows the conversation. @returns whether anybody received it */
  async function tell(userId, text) {
    const ack = await send("tell", userId, text);
    if (ack?.recipients === 0) state.complaint = `${userId} is not connected. Nobody received this.`;
    if (ack?.recipients > 0 && state.view !== userView(userId)) show(state, userView(userId));
    redraw();
    return ack?.recipients > 0;
  }

  /** Does what a text from the composer asks for. @returns whether that went well */
  async function run(text) {
    const { event, args, help, complaint } = parse(text, state);
    state.complaint = complaint ?? "";
    if (help) showHelp();
    if (event === "chat" && state.rooms.size === 0)
      state.complaint = "You are not in any room. Join one with /join.";
    redraw();
    if (!event || state.complaint) return help === true;
    if (event === "join") return join(...args);
    if (event === "tell") return tell(...args);
    return (await send(event, ...args)) !== undefined;
  }

  function showHelp() {
    const lines = commandsOf(state.namespace).map(
      (name) => `${commands[name].usage}: ${commands[name].help}`,
    );
    answered(state, [
      ["Tab completes a command. To send a text that begins with /, type //.", ...lines].join("\n"),
    ]);
  }

  /** Loads the messages before the oldest one shown. */
  async function loadOlder(name) {
    const room = state.rooms.get(name);
    if (!room || room.loading || state.status !== "connected") return;
    room.loading = true;
    redraw();
    const before = state.timelines.oldest(roomView(name));
    if (!(await send("history", name, { before, limit: pageSize }))) room.more = false;
    room.loading = false;
    redraw();
  }

  return {
    redraw,
    update,
    send,
    join,
    run,
    loadOlder,
    emit: (request) => emitRaw(connection, request),
    enter(token) {
      state.token = token;
      history.replaceState(null, "", linkTo(state.entry));
      connection.connect();
    },
    disconnect: () => connection.disconnect(),
    show: (view) => update(() => show(state, view)),
    /** Opens a direct conversation, ready to type. */
    openConversation: (userId) =>
      update(() => {
        openConversation(state, userId);
        show(state, userView(userId));
        state.focus = "line";
      }),
    closeConversation: (userId) => update(() => closeConversation(state, userId)),
    leave: (room) =>
      state.status === "connected" ? send("leave", room) : update(() => removeRoom(state, room)),
    async copy(text, what) {
      const copied = await copy(text).then(
        () => `Copied ${what}`,
        () => "Could not copy to the clipboard",
      );
      update(() => (state.said = copied));
      setTimeout(() => update(() => (state.said = "")), saidForMs);
    },
  };
}

/** Whether a text would go to several rooms at once. */
export const goesToAll = (text, { view, rooms }) =>
  view === everything && rooms.size > 1 && (!text.startsWith("/") || text.startsWith("//"));
