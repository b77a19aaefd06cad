const most = 1_000_000;

/** roomcast's settings with the limits per address and per connection lifted. */
export const unlimited = {
  maxConnections: 20_000,
  maxConnectionsPerAddress: most,
  eventsPerSecond: most,
  eventsBurst: most,
  bytesPerSecond: 1_000 * most,
};
