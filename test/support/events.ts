import { readOptions } from "../../src/config/read.ts";
import { closeCore, createCore } from "../../src/core.ts";

/** The names of the events that `/chat` accepts, as the server knows them. */
export function chatEvents(): string[] {
  const core = createCore(readOptions({}), { info() {}, warn() {}, error() {}, debug() {} });
  void closeCore(core);
  const { namespace } = core.dispatchers.find(({ namespace: { name } }) => name === "/chat") ?? {};
  return [...(namespace?.events.keys() ?? [])];
}
