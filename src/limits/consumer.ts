/** A connection as seen from its send queue. */
export interface Consumer {
  /** Bytes that wait for the client in this process; 0 once the connection is closed. */
  readonly queuedBytes: number;
  /** Whether the client may still read something. */
  readonly isReachable: boolean;
  /** Whether the kernel accepts data until its buffers are full. A polling client has to ask first. */
  readonly isStream: boolean;
  /** When a polling client last read something, by the clock of the slow consumers. */
  readAt?: number;
  /** Extends the heartbeat timeout: the heartbeat may be stuck behind data that the client has not read. */
  keepAlive(): void;
}
