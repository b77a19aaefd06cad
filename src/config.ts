import { parseArgs } from "node:util";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import Type, { type Static } from "typebox";

const longestTimerMs = 2 ** 31 - 1;

const milliseconds = (description: string, defaultMs: number) =>
  Type.Integer({ description, default: defaultMs, minimum: 1, maximum: longestTimerMs });

/** The settings of the rooms and of Socket.IO, which the Fastify plugin takes as its options. */
const roomSettings = {
  pingIntervalMs: milliseconds("Time between two heartbeats to a client", 25_000),
  pingTimeoutMs: milliseconds("Time a client has to answer a heartbeat", 20_000),
  connectTimeoutMs: milliseconds("Time a client has to connect to a namespace", 45_000),
  maxPayloadBytes: Type.Integer({
    description: "Largest packet a client may send; a larger one ends its connection",
    default: 1_000_000,
    minimum: 1_024,
    maximum: 1_073_741_824,
  }),
  outboxMaxBytes: Type.Integer({
    description: "Backlog at which a client that does not read is disconnected",
    default: 4_000_000,
    minimum: 1_024,
    maximum: 1_073_741_824,
  }),
  maxRooms: Type.Integer({
    description: "Rooms one connection may be in, on each namespace",
    default: 200,
    minimum: 1,
    maximum: 1_000_000,
  }),
};

const RoomSettings = Type.Object(roomSettings, { additionalProperties: false });
export type RoomSettings = Static<typeof RoomSettings>;

/**
 * Every setting of the command, with its meaning, default and bounds. Its flag is its name in kebab case
 * without the unit (`--ping-interval`), its variable the flag in capitals (`PING_INTERVAL`).
 */
export const Settings = Type.Object({
  port: Type.Integer({
    description: "Port to listen on; 0 takes any that is free",
    default: 8_000,
    minimum: 0,
    maximum: 65_535,
  }),
  host: Type.String({
    description: "Address to listen on; 0.0.0.0 for every network",
    default: "127.0.0.1",
    minLength: 1,
  }),
  logLevel: Type.Enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
    description: "Least severe log lines to write",
    default: "info",
  }),
  ...roomSettings,
});
export type Settings = Static<typeof Settings>;

/** A setting that cannot be used. The message is one sentence for whoever gave it. */
export class SettingError extends Error {}

/** One row of the settings table, as the help and the README print it. */
export interface SettingRow {
  flag: string;
  variable: string;
  expected: string;
  default: string;
  description: string;
}

interface Facts {
  description: string;
  default: string | number;
  enum?: string[];
  minimum?: number;
  maximum?: number;
}
const facts = Settings.properties as object as Record<string, Facts>;

/** The settings table, in words. */
export const settingRows: readonly SettingRow[] = Object.entries(facts).map(([name, fact]) => ({
  flag: flagOf(name),
  variable: variableOf(name),
  expected: expected(name, fact),
  default: String(fact.default),
  description: fact.description,
}));

const ajv = new Ajv({ useDefaults: true });
const validSettings = ajv.compile<Settings>(Settings);
const validRoomSettings = ajv.compile<RoomSettings>(RoomSettings);

/**
 * The settings of the command: flags, then variables (an empty one counts as left out), then defaults.
 *
 * @param args the command's arguments, without `--help` and `--version`
 * @throws {SettingError} for a flag that does not exist or a value that is out of bounds
 */
export function readSettings(args: string[], env: Record<string, string | undefined>): Settings {
  const flags = readFlags(args);
  const given: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const name of Object.keys(facts)) {
    const flag = flags.get(flagOf(name));
    const value = flag ?? (env[variableOf(name)] || undefined);
    if (value === undefined) continue;
    // Only digits are a number here: not "1e4", not "0x10", not " ".
    given[name] = /^\d+$/.test(value) && facts[name]?.minimum !== undefined ? Number(value) : value;
    sources[name] = flag === undefined ? variableOf(name) : `--${flagOf(name)}`;
  }
  return filled(validSettings, given, (name) => sources[name] ?? name);
}

/**
 * The options of the Fastify plugin, with their defaults.
 *
 * @throws {SettingError} for an option that does not exist or a value that is out of bounds
 */
export function readOptions(options: object): RoomSettings {
  return filled(validRoomSettings, options as Record<string, unknown>, (name) => `roomcast's option ${name}`);
}

/** The text that `--help` prints. */
export function help(): string {
  const columns = settingRows.map(
    ({ flag, variable }) => `  ${`--${flag}`.padEnd(18)} ${variable.padEnd(16)} `,
  );
  const margin = " ".repeat(columns[0]?.length ?? 0);
  const rows = settingRows.map((row, index) => [
    `${columns[index]}${row.description};`,
    `${margin}${row.expected} (default ${row.default})`,
  ]);
  return [
    "roomcast: a ready-to-run room server for Socket.IO clients",
    "",
    "Usage: roomcast [settings]",
    "",
    "Every setting is a flag or an environment variable; the flag wins.",
    ...rows.flat(),
    `  ${"--help".padEnd(18)} ${"".padEnd(16)} Print this and exit`,
    `  ${"--version".padEnd(18)} ${"".padEnd(16)} Print the version and exit`,
  ].join("\n");
}

function readFlags(args: string[]): Map<string, string> {
  const names = Object.keys(facts).map(flagOf);
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const flags = new Map<string, string>();
  for (const token of parseArgs({ args, options, strict: false, tokens: true }).tokens) {
    if (token.kind !== "option")
      throw new SettingError(`Unexpected argument ${args[token.index]}; see --help.`);
    if (!Object.hasOwn(options, token.name))
      throw new SettingError(`Unknown setting ${token.rawName}; see --help.`);
    if (!token.value || token.value.startsWith("--"))
      throw new SettingError(`${token.rawName} needs a value; see --help.`);
    flags.set(token.name, token.value);
  }
  return flags;
}

function filled<T>(
  valid: ValidateFunction<T>,
  given: Readonly<Record<string, unknown>>,
  sourceOf: (name: string) => string,
): T {
  const settings: unknown = { ...given };
  if (valid(settings)) return settings;
  const [{ params, instancePath }] = valid.errors as [ErrorObject];
  if (params.additionalProperty)
    throw new SettingError(`${sourceOf(params.additionalProperty)} does not exist.`);
  const name = instancePath.slice(1);
  const wanted = expected(name, facts[name] as Facts);
  throw new SettingError(
    `${sourceOf(name)} must be ${wanted}, not ${typeof given[name] === "string" ? JSON.stringify(given[name]) : given[name]}.`,
  );
}

function expected(name: string, { enum: choices, minimum, maximum }: Facts): string {
  if (choices) return `one of ${choices.join(", ")}`;
  if (minimum === undefined) return "a host name or address";
  const unit = name.endsWith("Ms") ? " of milliseconds" : name.endsWith("Bytes") ? " of bytes" : "";
  return `a whole number${unit} from ${minimum} to ${maximum}`;
}

function flagOf(name: string): string {
  return name.replace(/(Ms|Bytes)$/, "").replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

function variableOf(name: string): string {
  return flagOf(name).replaceAll("-", "_").toUpperCase();
}
