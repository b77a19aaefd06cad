/** The data of a packet: text, or binary data as a Buffer, a view or an ArrayBuffer. */
export type Data = string | ArrayBuffer | ArrayBufferView;

/** Encodes an unfragmented, unmasked WebSocket frame, as a server sends it (RFC 6455, 5.2). */
export function frame(data: Data): Buffer {
  const text = typeof data === "string";
  const length = text ? Buffer.byteLength(data) : data.byteLength;
  const start = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const bytes = Buffer.allocUnsafe(start + length);
  bytes[0] = text ? 0x81 : 0x82;
  if (start === 2) bytes[1] = length;
  else if (start === 4) {
    bytes[1] = 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(length), 2);
  }
  if (text) bytes.write(data, start);
  else bytes.set(ArrayBuffer.isView(data) ? bytesOfView(data) : new Uint8Array(data), start);
  return bytes;
}

const bytesOfView = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Memory that data takes while it waits to be framed, in bytes. */
export function memoryOf(data: Data = ""): number {
  if (typeof data !== "string") return data.byteLength;
  const bytes = Buffer.byteLength(data);
  // A string with non-ASCII characters may take two bytes per character.
  return bytes === data.length ? bytes : Math.max(bytes, 2 * data.length);
}

/** Copies binary data that is a small part of a larger buffer, so that the buffer can be freed. */
export function ownMemory(data: Buffer): Buffer {
  if (!Buffer.isBuffer(data) || data.buffer.byteLength <= 2 * data.length) return data;
  const copy = Buffer.allocUnsafeSlow(data.length);
  data.copy(copy);
  return copy;
}
