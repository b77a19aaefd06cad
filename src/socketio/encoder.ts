import { Encoder, type Packet, PacketType } from "socket.io-parser";

/**
 * The encoder class of a server: Socket.IO's, which searches the acks of an application for binary data.
 *
 * @param hasNoBinary whether a packet is known to contain none
 */
export function encoderFor(hasNoBinary: (packet: Packet) => boolean): typeof Encoder {
  return class extends Encoder {
    override encode(packet: Packet): (string | Buffer)[] {
      if (packet.type !== PacketType.ACK || !hasNoBinary(packet)) return super.encode(packet);
      const { type, nsp, id, data } = packet;
      return [`${type}${nsp === "/" ? "" : `${nsp},`}${id}${JSON.stringify(data)}`];
    }
  };
}
