/** The maximum that the stock socket.io-parser accepts. */
const maxAttachments = 10;

/**
 * The type, number of attachments, namespace and ack id that precede a packet's JSON (Socket.IO protocol 5).
 */
const prefix = /^\d(?:(\d+)-)?(?:(\/[^,]*),)?(\d*)/;

/** The prefix of a packet, followed by the number of attachments, the namespace and the ack id, as texts. */
export const prefixOf = (text: string): string[] & { 0: string } => (text.match(prefix) ?? [""]) as [string];

/** The namespace that a packet is for. */
export function namespaceOf(text: string): string {
  return prefixOf(text)[2] ?? "/";
}

/** The number of attachments that a packet announces. @throws {Error} if the number is missing or invalid */
export function attachmentsOf(text: string): number {
  const count = Number(prefixOf(text)[1]);
  if (!(count >= 1 && count <= maxAttachments)) throw new Error("illegal attachments");
  return count;
}
