import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from "jose";
import { ClientError } from "../errors.ts";
import { clockSkewSeconds, longestTokenChars } from "../limits/numbers.ts";
import { type KeyLog, keySet, publicKeyAlgorithms } from "./key-set.ts";
import type { Authenticator, Permissions } from "./permissions.ts";

export interface AuthOptions {
  /** Tokens are signed with this (HS256). */
  authSecret?: string;
  /** Tokens are signed with one of these keys: a JSON Web Key Set (RFC 7517), by URL or file. */
  authJwks?: string;
  /** The claims `iss` and `aud` that a token must have (RFC 7519, 4.1). */
  authIssuer?: string;
  authAudience?: string;
  authGraceMs: number;
  handlerTimeoutMs: number;
}

/**
 * Who may come in, by JSON Web Tokens (RFC 7519).
 *
 * @returns undefined where no token is asked for
 * @param log hears when keys cannot be fetched from a URL
 * @throws {SettingError} for a file of keys that cannot be used
 */
export function tokenVerifier(options: AuthOptions, log: KeyLog): Authenticator | undefined {
  const keys = keysOf(options, log);
  if (!keys) return undefined;
  const { authIssuer, authAudience, authGraceMs } = options;
  const rules: JWTVerifyOptions = {
    algorithms: keys.algorithms,
    clockTolerance: clockSkewSeconds,
    ...(authIssuer === undefined ? {} : { issuer: authIssuer }),
    ...(authAudience === undefined ? {} : { audience: authAudience }),
  };
  return {
    graceMs: authGraceMs,
    async authenticate(token) {
      if (typeof token !== "string" || token.length > longestTokenChars)
        throw new ClientError("unauthorized");
      return permissionsOf(await verified(token, keys.key, rules));
    },
  };
}

function keysOf({ authSecret, authJwks, handlerTimeoutMs }: AuthOptions, log: KeyLog) {
  if (authSecret !== undefined) {
    const secret = new TextEncoder().encode(authSecret);
    return { key: (async () => secret) as JWTVerifyGetKey, algorithms: ["HS256"] };
  }
  if (authJwks === undefined) return undefined;
  const key = keySet(authJwks, handlerTimeoutMs, log);
  return { key, algorithms: publicKeyAlgorithms };
}

/** Nobody is told why a signature failed; only that a token has expired, for that one can mend. */
async function verified(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new ClientError("token_expired");
    // Keys could not be fetched, which is logged already.
    if (error instanceof ClientError) throw error;
    if (error instanceof errors.JWKSTimeout) throw new ClientError("timeout");
    if (isOfTheKeys(error)) throw error;
    throw new ClientError("unauthorized");
  }
}

/** Whether the token is not to blame: its keys could not be had. */
function isOfTheKeys(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  return error.code === "ERR_JOSE_GENERIC" || error instanceof errors.JWKSInvalid;
}

function permissionsOf({ sub, rooms, exp }: JWTPayload): Permissions {
  const isList =
    rooms === undefined || (Array.isArray(rooms) && rooms.every((room) => typeof room === "string"));
  if (typeof sub !== "string" || !isList) throw new ClientError("unauthorized");
  return {
    userId: sub,
    ...(rooms === undefined ? {} : { rooms: rooms as string[] }),
    ...(exp === undefined ? {} : { expiresAt: (exp + clockSkewSeconds) * 1_000 }),
  };
}
