import { readFileSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import { ClientError, SettingError } from "./errors.ts";
import { clockSkewSeconds, longestTokenChars } from "./limits.ts";
import type { Authority, Grant } from "./namespaces/grant.ts";

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

/** Signatures by a key pair. None of these is HMAC: a public key is never taken for a secret. */
const publicKeyAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

/**
 * Who may come in, by JSON Web Tokens (RFC 7519).
 *
 * @returns undefined where no token is asked for
 * @throws {SettingError} for a file of keys that cannot be read
 */
export function authority(options: AuthOptions): Authority | undefined {
  const keys = keysOf(options);
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
    async grant(token) {
      if (typeof token !== "string" || token.length > longestTokenChars)
        throw new ClientError("unauthorized");
      return grant(await verified(token, keys.key, rules));
    },
  };
}

function keysOf({ authSecret, authJwks, handlerTimeoutMs }: AuthOptions) {
  if (authSecret !== undefined) {
    const secret = new TextEncoder().encode(authSecret);
    return { key: (async () => secret) as JWTVerifyGetKey, algorithms: ["HS256"] };
  }
  if (authJwks === undefined) return undefined;
  const key: JWTVerifyGetKey = /^https?:/.test(authJwks)
    ? createRemoteJWKSet(new URL(authJwks), { timeoutDuration: handlerTimeoutMs })
    : createLocalJWKSet(keySet(authJwks));
  return { key, algorithms: publicKeyAlgorithms };
}

function keySet(path: string): Parameters<typeof createLocalJWKSet>[0] {
  try {
    const { keys } = JSON.parse(readFileSync(path, "utf8"));
    if (Array.isArray(keys)) return { keys };
  } catch (error) {
    throw new SettingError(
      `--auth-jwks: ${path} cannot be read as a JSON Web Key Set: ${(error as Error).message}.`,
    );
  }
  throw new SettingError(`--auth-jwks: ${path} is no JSON Web Key Set: it has no array "keys".`);
}

/** Nobody is told why a signature failed; only that a token has expired, for that one can mend. */
async function verified(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new ClientError("token_expired");
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

function grant({ sub, rooms, exp }: JWTPayload): Grant {
  const isList =
    rooms === undefined || (Array.isArray(rooms) && rooms.every((room) => typeof room === "string"));
  if (typeof sub !== "string" || !isList) throw new ClientError("unauthorized");
  return {
    userId: sub,
    ...(rooms === undefined ? {} : { rooms: rooms as string[] }),
    ...(exp === undefined ? {} : { expiresAt: (exp + clockSkewSeconds) * 1_000 }),
  };
}
