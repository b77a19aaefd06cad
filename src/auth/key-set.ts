import { createPublicKey, type JsonWebKey } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";
import { ClientError, SettingError } from "../errors.ts";

/** The accepted signature algorithms. None is HMAC, so a public key can never be used as an HMAC secret. */
export const publicKeyAlgorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512"],
];

/** The log for failures to fetch keys, and for recovery from them. */
export interface KeyLog {
  error(details: object, message: string): void;
  info(details: object, message: string): void;
}

/**
 * Loads the public keys of a JSON Web Key Set (RFC 7517).
 *
 * @param source an http or https URL, or the path of a file
 * @param timeoutMs the time limit of the handlers that need the keys
 * @throws {SettingError} if a file cannot be read or has no key that can verify a signature
 */
export function keySet(source: string, timeoutMs: number, log: KeyLog): JWTVerifyGetKey {
  if (!/^https?:\/\//i.test(source)) return createLocalJWKSet(readKeySet(source));
  return createRemoteJWKSet(new URL(source), {
    // Shorter than the handler's timeout, which would be logged at each attempt.
    timeoutDuration: Math.ceil(0.9 * timeoutMs),
    [customFetch]: fetchLoggedOnce(log),
  });
}

/** Logs the first of consecutive failures, and the next success with the number of failures. */
function fetchLoggedOnce(log: KeyLog): FetchImplementation {
  let failures = 0;
  return async (url, options) => {
    try {
      const response = await fetch(url, options);
      if (response.status !== 200) throw new Error(`the server responded with status ${response.status}`);
      const body = await response.json();
      // Throws unless the body is a key set.
      createLocalJWKSet(body as JSONWebKeySet);
      if (failures > 0) log.info({ failures }, "the keys of --auth-jwks can be fetched again");
      failures = 0;
      return Response.json(body);
    } catch (error) {
      if (failures++ === 0)
        log.error({ err: error }, "the keys of --auth-jwks cannot be fetched: new tokens are not accepted");
      if (isTimeout(error)) throw error;
      throw new ClientError("internal");
    }
  };
}

/** jose turns this into an error of its own, which clients receive as `timeout`. */
const isTimeout = (error: unknown) => error instanceof Error && error.name === "TimeoutError";

function readKeySet(path: string): JSONWebKeySet {
  let keys: unknown;
  try {
    ({ keys } = JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new SettingError(
      `--auth-jwks: ${path} cannot be read as a JSON Web Key Set: ${(error as Error).message}.`,
    );
  }
  if (!Array.isArray(keys))
    throw new SettingError(`--auth-jwks: ${path} is no JSON Web Key Set: it has no array "keys".`);
  if (!keys.some(isUsable))
    throw new SettingError(`--auth-jwks: ${path} has no public key of ${publicKeyAlgorithms.join(", ")}.`);
  return { keys };
}

const curves = ["P-256", "P-384", "P-521"];

/** Whether jose would verify a signature with this key. */
function isUsable(key: JsonWebKey | null): boolean {
  const { kty, crv, n, alg, use, key_ops, d } = key ?? {};
  if (d !== undefined || (use !== undefined && use !== "sig")) return false;
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes("verify"))) return false;
  if (alg !== undefined && !publicKeyAlgorithms.includes(String(alg))) return false;
  if (!(kty === "EC" && curves.includes(String(crv))) && !(kty === "RSA" && n !== undefined)) return false;
  try {
    const { modulusLength = 2_048 } =
      createPublicKey({ key: key as JsonWebKey, format: "jwk" }).asymmetricKeyDetails ?? {};
    return modulusLength >= 2_048;
  } catch {
    return false;
  }
}
