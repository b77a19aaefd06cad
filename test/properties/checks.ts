import type { RoomName } from "../../src/protocol.ts";
import { Finding } from "../fuzz/target.ts";
import type { History } from "./history.ts";
import { LogModel, type ModelOptions } from "./log-model.ts";
import { Stay } from "./stay.ts";

/** Checks the guarantees of CONTRACT.md against what all members have reported. @throws {Finding} */
export function check(histories: readonly History[], options: ModelOptions): void {
  const model = new LogModel(histories, options);
  for (const history of histories) {
    try {
      checkMember(history, model, options);
    } catch (error) {
      if (error instanceof Finding) error.message = `${history.name} in ${error.message}`;
      throw error;
    }
  }
}

function checkMember({ entries, isSteady }: History, model: LogModel, { restarts }: ModelOptions): void {
  const stays = new Map<RoomName, Stay>();
  const stayIn = (room: RoomName): Stay => {
    const stay = stays.get(room);
    if (!stay) throw new Finding(`${room}, where it was not: it received something`);
    return stay;
  };
  let at = 0;
  for (const entry of entries) {
    at = entry.at;
    if (entry.what === "connected")
      for (const [room, asked] of entry.rooms) stays.set(room, new Stay(room, model, asked));
    else if (entry.what === "disconnected") {
      if (isSteady && restarts === 0) throw new Finding(`all its rooms lost its connection: ${entry.reason}`);
      for (const stay of stays.values()) stay.ends(at, false);
      stays.clear();
    } else if (entry.what === "joining") {
      const stay = stays.get(entry.room);
      if (stay) stay.asks(entry.asked);
      else stays.set(entry.room, new Stay(entry.room, model, entry.asked));
    } else if (entry.what === "message") {
      stayIn(entry.room).receives(entry.message.offset);
    } else if (entry.what === "verdict") {
      stayIn(entry.room).concludes(entry.asked, entry.verdict, entry.at);
    } else {
      stayIn(entry.room).ends(at, false);
      stays.delete(entry.room);
    }
  }
  for (const stay of stays.values()) stay.ends(at, true);
}
