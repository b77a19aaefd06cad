import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { SettingError } from "./errors.ts";

export interface Certificate {
  cert: string;
  key: string;
}

/**
 * Reads a certificate chain and its key.
 *
 * @throws {SettingError} if they cannot be read, or do not belong together
 */
export function readCertificate(tlsCert: string, tlsKey: string): Certificate {
  const certificate = { cert: readPem("--tls-cert", tlsCert), key: readPem("--tls-key", tlsKey) };
  try {
    createSecureContext(certificate);
  } catch (error) {
    throw new SettingError(`${tlsCert} and ${tlsKey} cannot be used together: ${(error as Error).message}.`);
  }
  return certificate;
}

function readPem(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new SettingError(`${flag} cannot be read: ${(error as Error).message}.`);
  }
}
