import { render } from "/vendor/lit-html/lit-html.js";
import { createActions } from "./actions.js";
import { createConnection } from "./connection.js";
import { readLink } from "./link.js";
import { restore, save } from "./session.js";
import { createState, unreadIn } from "./state.js";
import { focusLine } from "./view/composer.js";
import { focusToken } from "./view/entrance.js";
import { page } from "./view/page.js";
import { everything, titleOf } from "./views.js";

const { entry, connects } = readLink(location.search);
const state = createState(entry);
state.membersOpen = matchMedia("(min-width: 68rem)").matches;
const connection = createConnection(state, redraw);
const actions = createActions(state, connection, { redraw, draw });
let scheduled = false;
let drawn = { status: state.status, view: state.view };

/** Draws the state once per frame, however often it changed. A hidden page draws four times a second. */
function redraw() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(draw, 250);
  else requestAnimationFrame(draw);
}

function draw() {
  scheduled = false;
  const { status, view } = state;
  const unread = unreadIn(state);
  document.title = `${unread ? `(${unread}) ` : ""}${view === everything ? "roomcast" : titleOf(view)}`;
  render(page(state, actions), document.body);
  if (drawn.view !== view) showChosen();
  if (drawn.status !== "connected" && status === "connected") focusLine();
  if (state.focus === "line") focusLine({ always: true });
  if (state.focus === "token") focusToken();
  state.focus = undefined;
  drawn = { status, view };
  save(state);
}

/** Scrolls the chosen room into view in the list of rooms. */
function showChosen() {
  document.querySelector(".room[aria-current=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// A frame that was requested before the page was hidden never comes.
document.addEventListener("visibilitychange", draw);

if (connects) {
  restore(state);
  connection.connect();
}
draw();
