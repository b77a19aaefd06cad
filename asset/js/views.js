/*
 * What the page can show: everything, a room, or a direct conversation. A view is a string, so that it can be
 * a key: rooms start with "#", users with "@".
 */

/** The view of every room and conversation at once. */
export const everything = "*";

export const roomView = (room) => `#${room}`;
export const userView = (userId) => `@${userId}`;

/** The room that a view shows; undefined if it shows none. */
export const roomOf = (view) => (view.startsWith("#") ? view.slice(1) : undefined);

/** The user whose conversation a view shows; undefined if it shows none. */
export const userOf = (view) => (view.startsWith("@") ? view.slice(1) : undefined);

/** The name of a view as headings and the window's title show it. */
export const titleOf = (view) => (view === everything ? "Everything" : view.slice(1));
