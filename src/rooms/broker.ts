import type { Message, RoomName } from "../protocol.ts";
import type { Connection } from "./connection.ts";

/** What became of a published message. */
export interface Published {
  /** The number of copies delivered. */
  recipients: number;
}

/**
 * Orders the messages of each room of a namespace. Publishing here is the only way for a message to reach a room's
 * members. A broker in memory answers synchronously; one that asks another process answers with a promise.
 */
export interface Broker {
  /**
   * Delivers a message to the members of a room.
   *
   * @param except a member that does not receive it
   */
  publish(room: RoomName, message: Message, except?: Connection): Published | Promise<Published>;
  /** The room has its first member on this node: its messages must arrive here from now on. */
  subscribe(room: RoomName): void | Promise<void>;
  /** The room has lost its last member on this node. */
  unsubscribe(room: RoomName): void | Promise<void>;
}

/** What a broker delivers to. */
export interface BrokerListener {
  /** @returns the number of copies handed to gateways */
  received(room: RoomName, message: Message, except?: Connection): number;
}

/** The broker of a single node: a message is delivered while it is published. */
export class MemoryBroker implements Broker {
  readonly #listener: BrokerListener;

  constructor(listener: BrokerListener) {
    this.#listener = listener;
  }

  publish(room: RoomName, message: Message, except?: Connection): Published {
    return { recipients: this.#listener.received(room, message, except) };
  }

  subscribe(): void {}

  unsubscribe(): void {}
}
