import { html } from "/vendor/lit-html/lit-html.js";

/** A sentence with its names set apart. @param {import("../words.js").Sentence} sentence */
export const inWords = (sentence) =>
  sentence.map((part) => (typeof part === "string" ? part : html`<bdi>${part.name}</bdi>`));

const hues = 10;

/** The class that gives a user's name its colour, the same in every window. */
export function hueOf(userId) {
  let hash = 2_166_136_261;
  for (const character of userId) hash = Math.imul(hash ^ character.codePointAt(0), 16_777_619) >>> 0;
  return `hue-${(hash >>> 8) % hues}`;
}

/** The first letter of a user's name in the user's colour. */
export const avatar = (userId) => html`
  <span class="avatar ${hueOf(userId)}" aria-hidden="true">${[...userId][0]?.toUpperCase() ?? ""}</span>
`;
