import type { Message, RoomName } from "../protocol.ts";
import type { Connection } from "./connection.ts";

/** The result of publishing a message. */
export interface Published {
  /** The number of copies delivered. */
  recipients: number;
}

/**
 * Orders the messages of each room of a namespace. A message reaches the members of a room only through
 * {@link Broker.publish}. A broker in memory answers synchronously; one that asks another process returns a
 * promise.
 */
export interface Broker {
  /**
   * Delivers a message to the members of a room.
   *
   * @param except a member that does not receive the message
   */
  publish(room: RoomName, message: Message, except?: Connection): Published | Promise<Published>;
  /**
   * Called when the room gets its first member on this node: from now on this node must receive its messages.
   */
  subscribe(room: RoomName): void | Promise<void>;
  /** Called when the room loses its last member on this node. */
  unsubscribe(room: RoomName): void | Promise<void>;
}

/** The receiver of a broker's messages. */
export interface BrokerListener {
  /** @returns the number of copies handed to gateways */
  received(room: RoomName, message: Message, except?: Connection): number;
}

/** The broker of a single node: publishing a message delivers it synchronously. */
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
