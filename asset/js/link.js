/** @typedef {{ userId: string, room: string, namespace: "/" | "/chat" }} Entry who comes in, and where */

const guests = ["ann", "bob", "cleo", "dan", "eve", "finn"];

/** A name for somebody who is not this one: the next in the alphabet. */
export const guest = (userId) => guests[(guests.indexOf(userId.split("-")[0]) + 1) % guests.length];

/** A name for a first visit, unlikely to be taken. */
export const newcomer = () =>
  `${guests[Math.floor(Math.random() * guests.length)]}-${Math.floor(Math.random() * 900 + 100)}`;

/**
 * What an address like `/?room=lobby&userId=ann&namespace=/chat` fills in.
 *
 * @returns {{ entry: Entry, connects: boolean }} `connects` if it says where to go
 */
export function readLink(search) {
  const params = new URLSearchParams(search);
  const entry = {
    userId: params.get("userId") ?? newcomer(),
    room: params.get("room") ?? "lobby",
    namespace: params.get("namespace") === "/chat" ? "/chat" : "/",
  };
  return { entry, connects: params.has("room") || params.has("userId") };
}

/** The address that fills in an entry. */
export const linkTo = (entry) => `/?${new URLSearchParams(entry)}`.replaceAll("%2F", "/");
