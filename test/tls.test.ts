import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { connect as openTls } from "node:tls";
import { readCertificate } from "../src/tls.ts";
import { makeCertificate } from "./support/certificate.ts";
import { client, connect, next } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { skipWithout, skipWithoutSignals } from "./support/programs.ts";
import { until } from "./support/until.ts";

const skip = skipWithout("openssl");
const skipSignals = skip || skipWithoutSignals;

/** The common name of the certificate that a server currently presents. */
function nameShown(url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = openTls(
      { port: Number(new URL(url).port), host: "127.0.0.1", rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerCertificate().subject.CN);
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}

async function startTls(t: TestContext) {
  const certificate = makeCertificate("first");
  const { cert, key } = certificate;
  const command = runCommand(t, ["--port", "0", "--tls-cert", cert, "--tls-key", key]);
  return { certificate, command, url: await command.ready() };
}

test("serves HTTPS on both transports when a certificate is set", { skip }, async (t) => {
  const { url } = await startTls(t);
  assert.match(url, /^https:/);
  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    const ann = await connect(t, url, { transports, rejectUnauthorized: false });
    assert.equal(await ann.ask("notice", "hello"), "have hello");
  }
  // The same host over plain HTTP is another origin.
  const extraHeaders = { origin: url.replace("https", "http") };
  const clear = client(t, url, { extraHeaders, rejectUnauthorized: false, transports: ["websocket"] });
  await next(clear, "connect_error");
});

test("SIGHUP reloads the certificate and keeps open connections", { skip: skipSignals }, async (t) => {
  const { certificate, command, url } = await startTls(t);
  const ann = await connect(t, url, { rejectUnauthorized: false });
  assert.equal(await nameShown(url), "first");
  const second = makeCertificate("second");
  copyFileSync(second.cert, certificate.cert);
  copyFileSync(second.key, certificate.key);
  command.process.kill("SIGHUP");
  await until(() => assert.equal(command.stdout.includes("the certificate was read again"), true));
  assert.equal(await nameShown(url), "second");
  assert.equal(await ann.ask("notice", "still here"), "have still here");
});

test("logs an unusable new certificate and keeps the previous one", {
  skip: skipSignals,
}, async (t) => {
  const { certificate, command, url } = await startTls(t);
  const [cert, key] = [readFileSync(certificate.cert, "utf8"), readFileSync(certificate.key, "utf8")];
  for (const [spoil, words] of [
    [() => writeFileSync(certificate.cert, "nonsense"), /cannot be used together: there is no certificate/],
    [() => writeFileSync(certificate.cert, ""), /cannot be used together: there is no certificate/],
    [() => writeFileSync(certificate.cert, cert.slice(0, 200)), /cannot be used together: .* incomplete/],
    [
      () => writeFileSync(certificate.cert, cert + cert.slice(0, 200)),
      /cannot be used together: .* incomplete/,
    ],
    [() => writeFileSync(certificate.cert, `${cert}-----BEG`), /cannot be used together: .* incomplete/],
    [() => writeFileSync(certificate.cert, cert + cert.replace("MI", "XX")), /cannot be used together/],
    [() => writeFileSync(certificate.key, ""), /cannot be used together/],
    [() => writeFileSync(certificate.key, key.slice(0, 100)), /cannot be used together/],
    [() => writeFileSync(certificate.key, cert), /cannot be used together/],
    [
      () => copyFileSync(makeCertificate("other").cert, certificate.cert),
      /cannot be used together.*key values mismatch/,
    ],
  ] as const) {
    writeFileSync(certificate.cert, cert);
    writeFileSync(certificate.key, key);
    spoil();
    const before = command.stdout.length;
    command.process.kill("SIGHUP");
    await until(() => assert.equal(words.test(command.stdout.slice(before)), true));
    assert.equal(await nameShown(url), "first");
  }
});

test("accepts files with a chain, comments, or the key alongside its certificate", { skip }, () => {
  const { cert, key } = makeCertificate("first");
  const own = readFileSync(cert, "utf8");
  const intermediate = readFileSync(makeCertificate("other").cert, "utf8");
  const parameters = execFileSync("openssl", ["ecparam", "-name", "prime256v1"], { encoding: "utf8" });
  const both = `Bag Attributes\n  friendlyName: first\r\n${own}${intermediate}${parameters}${readFileSync(key, "utf8")}`;
  for (const text of [own + intermediate, both, both.replaceAll("\n", "\r\n")]) {
    writeFileSync(cert, text);
    if (text !== own + intermediate) writeFileSync(key, text);
    assert.equal(readCertificate(cert, key).cert, text);
  }
});

test("exits with one sentence if the TLS files are unusable", { skip }, async (t) => {
  const { cert, key } = makeCertificate("first");
  const other = makeCertificate("other");
  const empty = `${cert}.empty`;
  writeFileSync(empty, "");
  for (const [args, sentence] of [
    [["--tls-cert", `${cert}.none`, "--tls-key", key], /^--tls-cert cannot be read: ENOENT/],
    [["--tls-cert", cert, "--tls-key", other.key], /cannot be used together/],
    [["--tls-cert", empty, "--tls-key", key], /cannot be used together: there is no certificate/],
    [["--tls-cert", cert], /^--tls-cert and --tls-key go together/],
  ] as const) {
    const command = runCommand(t, ["--port", "0", ...args]);
    assert.equal(await command.exit(), 1);
    assert.match(command.stderr, sentence);
    assert.equal(command.stderr.trimEnd().split("\n").length, 1);
  }
});

test("SIGHUP without a certificate stops the server", {
  skip: skipWithoutSignals,
}, async (t) => {
  const command = runCommand(t, ["--port", "0"]);
  await command.ready();
  command.process.kill("SIGHUP");
  assert.equal(await command.exit(), 0);
});
