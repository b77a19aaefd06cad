import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { SettingError } from "./errors.ts";

/** A certificate chain and its private key, in PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/**
 * Reads a certificate chain and its private key.
 *
 * @throws {SettingError} if they cannot be read or do not match
 */
export function readCertificate(tlsCert: string, tlsKey: string): Certificate {
  const certificate = { cert: readPem("--tls-cert", tlsCert), key: readPem("--tls-key", tlsKey) };
  try {
    mustMatch(certificate);
    createSecureContext(certificate);
  } catch (error) {
    throw new SettingError(`${tlsCert} and ${tlsKey} cannot be used together: ${(error as Error).message}.`);
  }
  return certificate;
}

/**
 * Throws unless every certificate of the chain is readable and the key matches the first. OpenSSL does not
 * check this: it accepts an empty file as no certificate, and a half-written file as a shorter chain.
 */
function mustMatch({ cert, key }: Certificate): void {
  const certificates = cert.match(pemBlock)?.filter((block) => pemCertificate.test(block)) ?? [];
  if (/^-/m.test(cert.replace(pemBlock, ""))) throw new Error("the certificate file is incomplete");
  const [own] = certificates.map((block) => new X509Certificate(block));
  if (!own) throw new Error("there is no certificate in the file");
  if (!own.checkPrivateKey(createPrivateKey(key))) throw new Error("key values mismatch");
}

/** One block of a PEM file (RFC 7468). */
const pemBlock = /^-----BEGIN ([A-Z0-9 ]+)-----$.*?^-----END \1-----[ \t]*$/gms;
const pemCertificate = /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/;

function readPem(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new SettingError(`${flag} cannot be read: ${(error as Error).message}.`);
  }
}
