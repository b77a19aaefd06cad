import { type JWTPayload, SignJWT } from "jose";

export const authSecret = "a secret of no less than 32 characters";
export const secret = new TextEncoder().encode(authSecret);

/** Seconds since the epoch, as tokens tell the time. */
export const now = () => Math.floor(Date.now() / 1_000);

/** A token of HS256 for the user ann, valid for a minute, unless its claims say otherwise. */
export function token(claims: JWTPayload = {}, key: Uint8Array = secret, alg = "HS256"): Promise<string> {
  return new SignJWT({ sub: "ann", exp: now() + 60, ...claims }).setProtectedHeader({ alg }).sign(key);
}
