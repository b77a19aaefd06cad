const mostEntries = 60;
const mostBytes = 300;

interface Entry {
  session: number;
  socket: number;
  sent: Buffer;
}

/** The last that was sent, for the report of a finding. */
export class Journal {
  readonly #entries: Entry[] = [];

  note(session: number, socket: number, sent: Buffer): void {
    this.#entries.push({ session, socket, sent });
    if (this.#entries.length > mostEntries) this.#entries.shift();
  }

  /** A line for each, the latest last. */
  lines(): string[] {
    return this.#entries.map(({ session, socket, sent }) => {
      const start = JSON.stringify(sent.subarray(0, mostBytes).toString("latin1"));
      const more = sent.length > mostBytes ? ` and ${sent.length - mostBytes} bytes more` : "";
      return `session ${session}, socket ${socket}: ${start}${more}`;
    });
  }
}
