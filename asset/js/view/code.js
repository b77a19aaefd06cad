import { html } from "/vendor/lit-html/lit-html.js";
import { snippets } from "../snippets.js";

let language = Object.keys(snippets)[0];

/** How a program connects to this server, in several languages, to copy. */
export const code = ({ entry }, { copy, redraw }) => {
  const { namespace, userId, room } = entry;
  const url = location.origin + (namespace === "/" ? "" : namespace);
  const text = snippets[language]({ url, userId, room });
  const choose = (name) => () => {
    language = name;
    redraw();
  };
  const choices = Object.keys(snippets).map(
    (name) =>
      html`<button class="plain" aria-pressed=${String(name === language)} @click=${choose(name)}>${name}</button>`,
  );
  return html`
    <section class="code" aria-label="Connect from your code">
      <h2>Connect from your code</h2>
      <p>This stock client receives what it has missed, or learns that some messages may be lost.</p>
      <div class="code-head">
        <div role="group" aria-label="Language">${choices}</div>
        <button @click=${() => copy(text, "the code")}>Copy</button>
      </div>
      <pre tabindex="0" aria-label="${language} code"><code>${text}</code></pre>
    </section>
  `;
};
