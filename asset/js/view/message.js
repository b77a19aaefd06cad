import { guard } from "/vendor/lit-html/directives/guard.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { plain } from "../wire.js";
import { fullTime, shortTime } from "../words.js";
import { inline, json } from "./json.js";
import { avatar, hueOf, inWords } from "./text.js";

/** The longest data that is shown whole, in characters of JSON. */
const longestPreview = 100;

const minuteOf = (at) => Math.floor(at / 60_000);

/** Whether a line shows its author, because the one before it is of another author, minute or place. */
export const startsGroup = (line, previous) =>
  previous?.kind !== "said" ||
  previous.userId !== line.userId ||
  previous.mark !== line.mark ||
  minuteOf(previous.at) !== minuteOf(line.at) ||
  String(previous.rooms) !== String(line.rooms);

/** A line of the timeline. @param {import("../timelines.js").Line} line */
export const message = (line, isFirst, showsRooms) =>
  line.kind === "said" ? said(line, isFirst, showsRooms) : quiet(line, showsRooms);

const said = ({ own, userId, text, data, at, rooms, mark }, isFirst, showsRooms) => html`
  <li class="said ${own ? "own" : ""} ${isFirst ? "first" : ""}">
    ${isFirst ? avatar(userId) : nothing}
    <bdi class="who ${isFirst ? hueOf(userId) : "unseen"}">${own ? "You" : userId}</bdi>
    ${isFirst && mark && (showsRooms || mark !== "direct") ? html`<span class="where">${mark}</span>` : nothing}
    ${isFirst && showsRooms && rooms.length > 0 ? html`<bdi class="where">${rooms.join(", ")}</bdi>` : nothing}
    ${stamp(at)}
    ${
      data === undefined
        ? html`<span class="text" dir="auto">${inWords(text)}</span>`
        : html`<div class="text data">${guard([data], () => preview(data))}</div>`
    }
  </li>
`;

/** Data on one line if it is short, otherwise to unfold. */
function preview(data) {
  const line = html`<code>${inline([data], longestPreview)}</code>`;
  if (plain(data).length <= longestPreview) return line;
  return html`<details><summary>${line}</summary>${json(data)}</details>`;
}

const quiet = ({ text, at, rooms, topic }, showsRooms) => html`
  <li class="quiet">
    <span class="text" dir="auto">${inWords(text)}</span>
    ${showsRooms && topic && rooms ? html`<bdi class="where">${rooms.join(", ")}</bdi>` : nothing}
    ${stamp(at)}
  </li>
`;

const stamp = (at) =>
  html`<time datetime=${new Date(at).toISOString()} title=${fullTime(at)}>${shortTime(at)}</time>`;
