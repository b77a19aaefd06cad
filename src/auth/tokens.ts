import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from "jose";
import { ClientError } from "../errors.ts";
import { type KeyLog, keySet, publicKeyAlgorithms } from "./key-set.ts";
import type { Authenticator, Permissions } from "./permissions.ts";

/** Clock skew that is tolerated when a token's times are checked, in seconds. */
export const clockSkewSeconds = 5;

/** Longest token that is examined at all, in characters. */
const longestTokenChars = 8_192;

/** How tokens are verified. */
export interface AuthOptions {
  /** The secret that signs tokens (HS256). */
  authSecret?: string;
  /** The public keys of the tokens: the URL or file of a JSON Web Key Set (RFC 7517). */
  authJwks?: string;
  /** The `iss` claim that a token must have (RFC 7519, section 4.1.1). */
  authIssuer?: string;
  /** The `aud` claim that a token must have (RFC 7519, section 4.1.3). */
  authAudience?: string;
  /** How long a connection may continue after its token has expired. */
  authGraceMs: number;
  handlerTimeoutMs: number;
}

/**
 * Creates the authenticator that verifies JSON Web Tokens (RFC 7519).
 *
 * @param log receives failures to fetch keys from a URL
 * @returns undefined if no tokens are required
 * @throws {SettingError} if a key file cannot be used
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

/** Does not tell the client why a token is invalid, except that it has expired: the client can fix that. */
async function verified(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new ClientError("token_expired");
    // The keys could not be fetched; this was logged already.
    if (error instanceof ClientError) throw error;
    if (error instanceof errors.JWKSTimeout) throw new ClientError("timeout");
    if (isKeyFailure(error)) throw error;
    throw new ClientError("unauthorized");
  }
}

/** Whether verification failed because of the keys, not because of the token. */
function isKeyFailure(error: unknown): boolean {
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
