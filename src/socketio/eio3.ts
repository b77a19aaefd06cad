/** The codec of Engine.IO 3 payloads, as engine.io keeps it on each of its transports. */
interface PayloadCodec {
  encodePayload(packets: unknown[], supportsBinary: boolean, done: (payload: unknown) => void): void;
  encodePayloadAsBinary(packets: unknown[], done: (payload: unknown) => void): void;
}

/**
 * Whether answers to the polls of this client must be in the binary payload form of Engine.IO 3.
 *
 * Engine.IO 1.4, which the demo's page uses, takes an answer to a poll for an empty "ok" unless it comes as
 * application/octet-stream. Every browser build of 1.x and 2.x reads that form; Node's builds say `b64`.
 */
export function wantsBinaryPayloads(query: Record<string, string>): boolean {
  return query.EIO === "3" && !query.b64 && query.j === undefined;
}

/** Makes a polling transport answer in that form. */
export function answerInBinary(transport: object): void {
  const holder = transport as { parser: PayloadCodec };
  const { parser } = holder;
  holder.parser = {
    ...parser,
    encodePayload: (packets, _supportsBinary, done) => parser.encodePayloadAsBinary(packets, done),
  };
}
