import { guard } from "/vendor/lit-html/directives/guard.js";
import { ref } from "/vendor/lit-html/directives/ref.js";
import { repeat } from "/vendor/lit-html/directives/repeat.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { everything, roomOf, titleOf } from "../views.js";
import { message, startsGroup } from "./message.js";

/** Closer than this to the top, in pixels, older messages are loaded; closer than this to the end, it counts as the end. */
const nearTop = 150;
const nearEnd = 40;

let scroller;
// A phone's keyboard makes the list shorter; the newest line stays in view.
const resized = new ResizeObserver(() => toNewest());

function setScroller(element) {
  resized.disconnect();
  scroller = element;
  if (element) resized.observe(element);
}

/** Where the reader is: at the newest line, or above it since this line was the newest. */
const reading = { view: undefined, atNewest: true, lastSeen: 0, scrollTop: 0, first: undefined };

/** What was said and what happened, oldest first. It stays at the newest line unless the reader has scrolled up. */
export const timeline = (state, actions) => {
  const { view, timelines } = state;
  const lines = timelines.of(view);
  follow(view, lines);
  timelines.held = reading.atNewest ? undefined : view;
  const missed = reading.atNewest ? 0 : lines.filter(({ key }) => key > reading.lastSeen).length;
  const back = () => {
    reading.atNewest = true;
    actions.redraw();
  };
  return html`
    <div class="timeline">
      <div class="scroller" ${ref(setScroller)} role="log" aria-label="Messages in ${titleOf(view)}" tabindex="0"
        @scroll=${(event) => scrolled(event.currentTarget, state, actions)}>
        ${older(state, actions)}
        <ol>
          ${repeat(
            lines,
            ({ key }) => key,
            (line, index) => item(line, startsGroup(line, lines[index - 1]), view === everything),
          )}
        </ol>
      </div>
      ${missed ? html`<button class="missed" @click=${back}>${missed} new ↓</button>` : nothing}
    </div>
  `;
};

/** A line, which is rendered again only if it has changed. */
const item = (line, isFirst, showsRooms) =>
  html`${guard([line.rooms, isFirst, showsRooms], () => message(line, isFirst, showsRooms))}`;

/** Keeps the newest line, or the lines being read, where the reader sees them. */
function follow(view, lines) {
  const first = lines[0]?.key;
  if (reading.view !== view) Object.assign(reading, { view, atNewest: true, scrollTop: 0, first });
  if (reading.atNewest) {
    reading.lastSeen = lines.reduce((newest, { key }) => Math.max(newest, key), 0);
    requestAnimationFrame(toNewest);
  } else if (first !== reading.first) keepPlace(lines);
  reading.first = first;
}

/** Older lines come before those being read, which must not move. */
function keepPlace(lines) {
  const { scrollHeight, scrollTop } = scroller;
  reading.lastSeen = Math.max(
    reading.lastSeen,
    ...lines.filter(({ key }) => key < reading.first).map(({ key }) => key),
  );
  queueMicrotask(() => {
    scroller.scrollTop = scrollTop + scroller.scrollHeight - scrollHeight;
  });
}

function scrolled({ scrollHeight, scrollTop, clientHeight }, state, actions) {
  // Lines that arrived since the last frame make a distance too; only a reader scrolls upwards.
  const up = scrollTop < reading.scrollTop;
  const atNewest = scrollHeight - scrollTop - clientHeight < nearEnd || (reading.atNewest && !up);
  reading.scrollTop = scrollTop;
  if (atNewest !== reading.atNewest) actions.redraw();
  reading.atNewest = atNewest;
  if (up && scrollTop < nearTop && hasOlder(state)) void actions.loadOlder(roomOf(state.view));
}

function toNewest() {
  if (scroller && reading.atNewest) scroller.scrollTop = scroller.scrollHeight;
}

/** Whether the server may keep messages that are older than those of the view. */
function hasOlder({ view, rooms, timelines }) {
  const room = rooms.get(roomOf(view));
  return Boolean(room && (room.more || timelines.isCut(view)));
}

const older = (state, { loadOlder }) => {
  if (!hasOlder(state)) return nothing;
  const name = roomOf(state.view);
  const { loading } = state.rooms.get(name);
  return html`<button class="older plain" ?disabled=${loading} @click=${() => loadOlder(name)}>
    ${loading ? "Loading …" : "Load older messages"}
  </button>`;
};
