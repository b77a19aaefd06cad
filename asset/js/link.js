/** @typedef {{ userId: string, room: string, namespace: "/" | "/chat" }} Entry the values of the start form */

const names = ["ann", "bob", "cleo", "dan", "eve", "finn"];

/** The name of another user than this one: the next in the alphabet. */
export const nextName = (userId) => names[(names.indexOf(userId.split("-")[0]) + 1) % names.length];

/** A name for a first visit that is unlikely to be taken. */
export const newName = () =>
  `${names[Math.floor(Math.random() * names.length)]}-${Math.floor(Math.random() * 900 + 100)}`;

/**
 * Reads an address: `/?room=lobby&userId=ann&namespace=/chat` fills in the form and connects, `/?invite=lobby`
 * fills in the room and lets the visitor choose a name.
 *
 * @returns {{ entry: Entry, connects: boolean }}
 */
export function readLink(search) {
  const params = new URLSearchParams(search);
  const entry = {
    userId: params.get("userId") ?? newName(),
    room: params.get("room") ?? params.get("invite") ?? "lobby",
    namespace: params.get("namespace") === "/chat" ? "/chat" : "/",
  };
  return { entry, connects: params.has("room") || params.has("userId") };
}

/** The address that connects with an entry. */
export const linkTo = ({ userId, room, namespace }) => link({ userId, room, namespace });

/** The address that invites others to a room. */
export const invitation = (room, namespace) => link({ invite: room, namespace });

const link = (params) => `/?${new URLSearchParams(params)}`.replaceAll("%2F", "/");
