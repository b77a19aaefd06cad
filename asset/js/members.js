/** The users in a room and their connections, kept up to date from `watch`, `presence` and messages. */
export class Members {
  /** The number of users; undefined until the server has sent it. */
  total;
  /** @type {Map<string, number>} the number of connections by userId */
  #connections = new Map();

  /** Takes the answer to `watch` or `who`. */
  reset({ users, total }) {
    this.#connections = new Map(users.map(({ userId, connections }) => [userId, connections]));
    this.total = total;
  }

  /** Counts a connection that joined (1) or went away (-1). The server counts until it has answered `watch`. */
  count(userId, change) {
    if (this.total === undefined) return;
    const connections = (this.#connections.get(userId) ?? 0) + change;
    // `presence` may have removed the user already.
    if (connections >= 0) this.#connections.set(userId, connections);
  }

  /** Takes a `presence` event. */
  changed({ userId, online, total }) {
    this.total = total;
    if (!online) this.#connections.delete(userId);
    else if (!this.#connections.has(userId)) this.#connections.set(userId, 0);
  }

  has(userId) {
    return this.#connections.has(userId);
  }

  /** The users, oneself first, the others by name. @returns {{ userId: string, connections: number }[]} */
  list(ownId) {
    const users = [...this.#connections].map(([userId, connections]) => ({ userId, connections }));
    return users.sort(
      (a, b) => Number(b.userId === ownId) - Number(a.userId === ownId) || a.userId.localeCompare(b.userId),
    );
  }
}
