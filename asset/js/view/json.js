import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { plain } from "../wire.js";

/** The most entries of an object or array that are shown, and the longest string. */
const mostEntries = 100;
const longestString = 2_000;

/** Objects that are nested deeper than this are folded at first. */
const openDepth = 3;

/** A value as highlighted JSON, in which objects and arrays can be folded. */
export function json(value, key, depth = 0) {
  if (value === null || typeof value !== "object") return html`<div>${label(key)}${scalar(value)}</div>`;
  const entries = Array.isArray(value) ? value.map((item) => [undefined, item]) : Object.entries(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (entries.length === 0) return html`<div>${label(key)}${open}${close}</div>`;
  const hidden = entries.length - mostEntries;
  return html`
    <details class="fold" ?open=${depth < openDepth}>
      <summary>${label(key)}${open}<span class="folded"> ${entries.length} … ${close}</span></summary>
      <div class="nested">
        ${entries.slice(0, mostEntries).map(([name, item]) => json(item, name, depth + 1))}
        ${hidden > 0 ? html`<div>… ${hidden} more</div>` : nothing}
      </div>
      ${close}
    </details>
  `;
}

const label = (key) => (key === undefined ? nothing : html`<span class="json-key">${plain(key)}</span>: `);

function scalar(value) {
  const text = plain(value);
  return html`<span class="json-${value === null ? "null" : typeof value}">${cut(text, longestString)}</span>`;
}

const cut = (text, longest) => (text.length > longest ? `${text.slice(0, longest)} …` : text);

const token = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Values on one line, highlighted, with commas between them. The wire shows many of them, and templates would
 * take several times as long as nodes.
 *
 * @returns {DocumentFragment}
 */
export function inline(values, longest) {
  const text = cut(values.map(plain).join(", "), longest);
  const nodes = [];
  let end = 0;
  for (const { 0: whole, 1: string, 2: colon, index } of text.matchAll(token)) {
    nodes.push(
      text.slice(end, index),
      document.createElement("wbr"),
      span(kindOf(whole, string, colon), whole),
    );
    end = index + whole.length;
  }
  const fragment = document.createDocumentFragment();
  fragment.append(...nodes, text.slice(end));
  return fragment;
}

const span = (className, textContent) =>
  Object.assign(document.createElement("span"), { className, textContent });

function kindOf(whole, string, colon) {
  if (string) return colon ? "json-key" : "json-string";
  return /^[tfn]/.test(whole) ? "json-boolean" : "json-number";
}
