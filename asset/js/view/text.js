import { html } from "/vendor/lit-html/lit-html.js";

/** A sentence with its names set apart. @param {import("../words.js").Sentence} sentence */
export const inWords = (sentence) =>
  sentence.map((part) => (typeof part === "string" ? part : html`<bdi>${part.name}</bdi>`));
