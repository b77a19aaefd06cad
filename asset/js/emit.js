/**
 * Emits any event with any arguments, as the emit box says.
 *
 * @param {{ event: string, args: string, wantsAck: boolean }} request `args` is JSON, with commas between arguments
 * @returns {Promise<string>} what went wrong; "" if nothing did
 */
export async function emitRaw(connection, { event, args, wantsAck }) {
  if (event === "") return "Enter the name of an event.";
  const values = parse(args);
  if (!values) return 'The arguments must be JSON, with commas between them: "lobby", { "last": 10 }';
  try {
    if (wantsAck) await connection.send(event, ...values);
    else connection.sendOnly(event, ...values);
    return "";
  } catch (error) {
    return error.message;
  }
}

function parse(args) {
  try {
    return JSON.parse(`[${args}]`);
  } catch {
    return undefined;
  }
}
