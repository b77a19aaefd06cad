import { Members } from "./members.js";

/** The number of messages that the page asks for when it enters a room, and for each page of older ones. */
export const pageSize = 50;

/** What the page knows about a room that it is in, or was in when the connection was lost. */
export class Room {
  unread = 0;
  members = new Members();
  /** The offset of the newest message received. A reconnect sends it as `since`. */
  cursor;
  /** Whether the server may hold older messages than those shown. */
  more = false;
  /** Whether older messages have been asked for and have not arrived yet. */
  loading = false;
  /** Whether the room was entered without a cursor, and its newest messages are being replayed. */
  fresh = true;
  /** The key of the last line before the connection was lost; undefined while nothing has to be caught up. */
  lostAfter;

  /** Takes the verdict of a replay, from `sync` or from the ack of `join`. */
  replayed({ offset, status, missed }) {
    if (status === "new") this.more = missed >= pageSize;
    if (status === "gap") this.more = false;
    this.cursor = offset;
    this.fresh = false;
  }
}
