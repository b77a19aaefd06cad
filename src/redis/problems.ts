/*
 * What the errors of Redis mean.
 */

/** Whether Redis refuses the user or the password. */
export const isLoginError = (message: string) =>
  /WRONGPASS|NOAUTH|AUTH failed|invalid password/i.test(message);

/** Whether the user lacks rights that this server needs, or the database does not exist. */
export const isSettingError = (message: string) =>
  /NOPERM|user executing the script can't|DB index is out of range/i.test(message);

/** The message of an error. If all addresses of a host refuse the connection, the error has a code only. */
export const textOf = ({ message, code = "" }: NodeJS.ErrnoException) =>
  (message || code).replace(/^(read|write) /, "");

/** The message as the operator reads it. */
export const explained = (message: string) =>
  isLoginError(message) ? "it refuses the user or the password in its URL" : message;
