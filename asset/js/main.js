import { render } from "/vendor/lit-html/lit-html.js";
import { copy } from "./clipboard.js";
import { createConnection } from "./connection.js";
import { linkTo, readLink } from "./link.js";
import { createState, look } from "./state.js";
import { focusLine } from "./view/composer.js";
import { page } from "./view/page.js";

const { entry, connects } = readLink(location.search);
const state = createState(entry);
const connection = createConnection(state, draw);
let scheduled = false;

/** What a person can do, for the views to call. */
const actions = {
  enter(entry) {
    state.entry = entry;
    history.replaceState(null, "", linkTo(entry));
    connection.connect();
  },
  leave: () => connection.disconnect(),
  send: (event, ...args) => connection.send(event, ...args),
  look: (room) => change(() => look(state, room)),
  change,
  async copy(text, what) {
    await copy(text);
    change(() => {
      state.said = `Copied ${what}`;
    });
  },
};

/** Changes the state and draws it. */
function change(how) {
  how();
  draw();
}

/** Draws the state once per frame, however often it changed. A page out of sight draws four times a second. */
function draw() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(drawNow, 250);
  else requestAnimationFrame(drawNow);
}

function drawNow() {
  scheduled = false;
  const unread = [...state.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}${state.view ?? "roomcast"}`;
  render(page(state, actions), document.body);
  if (state.status === "connected") focusLine();
}

if (connects) connection.connect();
drawNow();
