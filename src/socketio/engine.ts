import { Server, type transports } from "engine.io";

/** The codec of Engine.IO 3 payloads, as engine.io keeps it on each of its transports. */
interface PayloadCodec {
  encodePayload(packets: unknown[], supportsBinary: boolean, done: (payload: unknown) => void): void;
  encodePayloadAsBinary(packets: unknown[], done: (payload: unknown) => void): void;
}

type TransportRequest = Parameters<Server["createTransport"]>[1] & { _query?: Record<string, string> };

/** Engine.IO's server, and what old clients need beyond it. */
export class Engine extends Server {
  override createTransport(name: keyof typeof transports, request: TransportRequest) {
    const transport = super.createTransport(name, request);
    if (name === "polling" && wantsBinaryPayloads(request)) answerInBinary(transport);
    return transport;
  }
}

/*
 * Engine.IO 1.4, which the demo's page uses, takes an answer to a poll for an empty "ok" unless it comes as
 * application/octet-stream. Every browser build of 1.x and 2.x reads that form; Node's builds say `b64`.
 */
function wantsBinaryPayloads({ _query: query = {} }: TransportRequest): boolean {
  return query.EIO === "3" && !query.b64 && query.j === undefined;
}

function answerInBinary(transport: object): void {
  const holder = transport as { parser: PayloadCodec };
  const { parser } = holder;
  holder.parser = {
    ...parser,
    encodePayload: (packets, _supportsBinary, done) => parser.encodePayloadAsBinary(packets, done),
  };
}
