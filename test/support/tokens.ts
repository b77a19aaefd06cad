import { SignJWT } from "jose";

export const authSecret = "a secret of no less than 32 characters";
export const secret = new TextEncoder().encode(authSecret);

/** The current time in seconds since the epoch, as in tokens. */
export const now = () => Math.floor(Date.now() / 1_000);

/** Signs an HS256 token for the user ann, valid for a minute unless the claims override that. */
export function token(
  claims: Record<string, unknown> = {},
  key: Uint8Array = secret,
  alg = "HS256",
): Promise<string> {
  return new SignJWT({ sub: "ann", exp: now() + 60, ...claims }).setProtectedHeader({ alg }).sign(key);
}
