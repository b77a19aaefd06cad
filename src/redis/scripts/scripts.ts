import * as log from "./log.ts";
import * as memberships from "./memberships.ts";
import * as messages from "./messages.ts";
import * as nodes from "./nodes.ts";

/*
 * The Lua scripts. Redis runs each of them atomically. Keys, all below the prefix, which every script gets as its first
 * argument:
 *
 * - `nodes`: sorted set of node ids by the end of their lease. `dead`: nodes whose members are being removed.
 *   `removed:ID`: a node whose members were removed.
 * - `node:ID`: the node's memberships, as `NAMESPACE\nCONNECTION\nROOM`; without a room, the connection itself.
 * - `connections:NAMESPACE`: the node and the user of each connection. `user:NAMESPACE\nUSER`: the node of each of the
 *   user's connections.
 * - `lost`: sorted set of users in their grace period, as `NAMESPACE\nROOM\nUSER`, by its end.
 * - `id:NAMESPACE\nUSER\nID`: the receipt of a message with an id of the client's own.
 * - `{NAMESPACE ROOM}` is also the channel of a room. `…:head`: its epoch, the number of its last message, and the number of
 *   its last change. `…:log`: stream of its messages with the ids `SEQ-TIME`. `…:changes`: its last changes.
 *   `…:members`: the user of each connection. `…:users`: the number of connections of each user, 0 in the grace period.
 *
 * On a room's channel, `M` are logged messages, `T` is a transient one; `J` and `L` are a connection that joined or left, and
 * `P` a change of presence. The last three are numbered, so that a node which lost its connection can catch up.
 *
 * Times are in milliseconds by the clock of Redis. Names and ids contain no control characters.
 */

/** All scripts by name. */
export const scripts = { ...messages, ...log, ...memberships, ...nodes };
