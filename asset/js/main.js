import { render } from "/vendor/lit-html/lit-html.js";
import { copy } from "./clipboard.js";
import { createConnection } from "./connection.js";
import { linkTo, readLink } from "./link.js";
import { createState, forget, look } from "./state.js";
import { focusLine } from "./view/composer.js";
import { focusToken } from "./view/entrance.js";
import { page } from "./view/page.js";

const saidForMs = 2_500;

const { entry, connects } = readLink(location.search);
const state = createState(entry);
const connection = createConnection(state, redraw);
let scheduled = false;
let drawn = state.status;

/** What a person can do, for the views to call. */
const actions = {
  redraw,
  /** Changes the state and draws it. */
  update(how) {
    how(state);
    redraw();
  },
  enter(entry, token) {
    Object.assign(state, { entry, token });
    history.replaceState(null, "", linkTo(entry));
    connection.connect();
  },
  disconnect: () => connection.disconnect(),
  look: (room) => actions.update(() => look(state, room)),
  /** Sends an event; a room that was joined comes into view, and what went wrong is said. @returns whether it went well */
  async send(event, ...args) {
    state.complaint = "";
    try {
      await connection.send(event, ...args);
      if (event === "join") look(state, args[0]);
    } catch (error) {
      state.complaint = error.message;
    }
    redraw();
    return state.complaint === "";
  },
  leave: (room) =>
    state.status === "connected" ? actions.send("leave", room) : actions.update(() => forget(state, room)),
  async copy(text, what) {
    state.said = await copy(text).then(
      () => `Copied ${what}`,
      () => "Could not copy to the clipboard",
    );
    redraw();
    setTimeout(() => actions.update(() => (state.said = "")), saidForMs);
  },
};

/** Draws the state once per frame, however often it changed. A page out of sight draws four times a second. */
function redraw() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(draw, 250);
  else requestAnimationFrame(draw);
}

function draw() {
  scheduled = false;
  const unread = [...state.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}${state.view ?? "roomcast"}`;
  render(page(state, actions), document.body);
  if (drawn !== "connected" && state.status === "connected") focusLine();
  if (state.focus === "token") focusToken();
  state.focus = undefined;
  drawn = state.status;
}

// A frame that was asked for before the page went out of sight does not come.
document.addEventListener("visibilitychange", draw);

if (connects) connection.connect();
draw();
