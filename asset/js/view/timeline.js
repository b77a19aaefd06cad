import { ref } from "/vendor/lit-html/directives/ref.js";
import { repeat } from "/vendor/lit-html/directives/repeat.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { everything } from "../timelines.js";
import { time } from "../words.js";
import { inWords } from "./text.js";

let scroller;
// A phone's keyboard makes the list shorter; the newest line stays in view.
const resized = new ResizeObserver(() => toNewest());

function setScroller(element) {
  resized.disconnect();
  scroller = element;
  if (element) resized.observe(element);
}

/** Where the reader is: at the newest line, or above it since this line was the last. */
const reading = { room: undefined, atNewest: true, lastSeen: 0, scrollTop: 0 };

/** What was said and what happened, oldest first. It stays at the newest line unless one has scrolled up. */
export const timeline = (state, { redraw }) => {
  const lines = state.timelines.of(state.view);
  if (reading.room !== state.view) Object.assign(reading, { room: state.view, atNewest: true, scrollTop: 0 });
  if (reading.atNewest) {
    reading.lastSeen = lines.at(-1)?.key ?? 0;
    requestAnimationFrame(toNewest);
  }
  const missed = lines.filter(({ key }) => key > reading.lastSeen).length;
  const scrolled = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
    // Lines that came since the last frame make a distance too; only a reader scrolls upwards.
    const up = scrollTop < reading.scrollTop;
    const atNewest = scrollHeight - scrollTop - clientHeight < 40 || (reading.atNewest && !up);
    reading.scrollTop = scrollTop;
    if (atNewest !== reading.atNewest) redraw();
    reading.atNewest = atNewest;
  };
  const back = () => {
    reading.atNewest = true;
    redraw();
  };
  return html`
    <div class="timeline">
      <h2 class="unseen">${state.view ?? "Everything"}</h2>
      <div class="scroller" ${ref(setScroller)} role="log" aria-label="Messages" tabindex="0" @scroll=${scrolled}>
        <ol>
          ${repeat(
            lines,
            ({ key }) => key,
            (line) => item(line, state.view),
          )}
        </ol>
      </div>
      ${missed ? html`<button class="missed" @click=${back}>${missed} new ↓</button>` : nothing}
    </div>
  `;
};

function toNewest() {
  if (scroller && reading.atNewest) scroller.scrollTop = scroller.scrollHeight;
}

const item = ({ kind, own, userId, text, at, rooms }, view) => html`
  <li class="${kind} ${own ? "own" : ""}">
    ${kind === "said" ? html`<bdi class="who">${own ? "You" : userId}</bdi>` : nothing}
    ${kind === "said" && view === everything ? html`<bdi class="where">${rooms.join(", ")}</bdi>` : nothing}
    <time datetime=${new Date(at).toISOString()}>${time(at)}</time>
    <span class="text" dir="auto">${inWords(text)}</span>
  </li>
`;
