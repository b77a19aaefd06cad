import { parseArgs } from "node:util";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { SettingError } from "../errors.ts";
import { closest } from "./closest.ts";
import { isKeySource, isProxy, isRedisUrl } from "./formats.ts";
import { type CommonSettings, RoomSettings, Settings } from "./settings.ts";

/** The parts of a setting's schema that its table row and its messages use. */
interface Facts {
  title?: string;
  description: string;
  default?: string | number | string[];
  type?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
}
const facts = Settings.properties as object as Record<string, Facts>;
const optionFacts = RoomSettings.properties as object as Record<string, Facts>;

const units = { Ms: " of milliseconds", Bytes: " of bytes", Chars: " of characters" };

/** The most bytes that one UTF-16 code unit takes in UTF-8. */
const longestCharBytes = 3;

const ajv = new Ajv({ useDefaults: true });
ajv.addFormat("proxy", isProxy);
ajv.addFormat("key-source", isKeySource);
ajv.addFormat("redis-url", isRedisUrl);
const validSettings = ajv.compile<Settings>(Settings);
const validRoomSettings = ajv.compile<RoomSettings>(RoomSettings);

/** One row of the settings table, as `--help` and the documentation show it. */
export interface SettingRow {
  flag: string;
  variable: string;
  expected: string;
  default: string;
  description: string;
}

/** The settings table. */
export const settingRows: readonly SettingRow[] = Object.entries(facts).map(([name, fact]) => ({
  flag: flagOf(name),
  variable: variableOf(name),
  expected: expected(name, fact, "comma-separated"),
  default: fact.default === undefined || Array.isArray(fact.default) ? "none" : String(fact.default),
  description: fact.description,
}));

/**
 * Reads the settings of the command. A flag overrides a variable, which overrides the default. An empty
 * variable counts as unset, except for the settings that require tokens.
 *
 * @param args the command's arguments, without `--help` and `--version`
 * @throws {SettingError} if a flag does not exist, a value is out of bounds, or two settings contradict each
 * other
 */
export function readSettings(args: string[], env: Record<string, string | undefined>): Settings {
  const flags = readFlags(args);
  const given: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const [name, fact] of Object.entries(facts)) {
    const flag = flags.get(flagOf(name));
    const variable = env[variableOf(name)];
    const value = flag ?? (tokenSettings.has(name) ? variable : variable || undefined);
    if (value === undefined) continue;
    given[name] = parsed(value, fact);
    sources[name] = flag === undefined ? variableOf(name) : `--${flagOf(name)}`;
  }
  const settings = validated(validSettings, given, {
    sourceOf: (name) => sources[name] ?? `--${flagOf(name)}`,
    expects: (name) => expected(name, facts[name] as Facts, "comma-separated"),
  });
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined))
    throw new SettingError("--tls-cert and --tls-key go together: give both, or neither.");
  return settings;
}

/**
 * Reads the options of the Fastify plugin and adds the defaults.
 *
 * @throws {SettingError} if an option does not exist, a value is out of bounds, or two options contradict
 * each other
 */
export function readOptions(options: object): RoomSettings {
  const given = Object.entries(options).map(([name, value]) => {
    const fact = optionFacts[name];
    return [name, fact?.type === "array" && typeof value === "string" ? parsed(value, fact) : value];
  });
  return validated(validRoomSettings, Object.fromEntries(given), {
    sourceOf: (name) => `roomcast's option ${name}`,
    expects: (name) => expected(name, optionFacts[name] as Facts, "an array of"),
  });
}

function readFlags(args: string[]): Map<string, string> {
  const names = Object.keys(facts).map(flagOf);
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const flags = new Map<string, string>();
  for (const token of parseArgs({ args, options, strict: false, tokens: true }).tokens) {
    if (token.kind !== "option")
      throw new SettingError(`Unexpected argument ${args[token.index]}; see --help.`);
    if (!Object.hasOwn(options, token.name))
      throw new SettingError(`Unknown setting ${token.rawName}; ${hint(args[token.index] ?? "")}`);
    if (!token.value || token.value.startsWith("--"))
      throw new SettingError(`${token.rawName} needs a value; see --help.`);
    flags.set(token.name, token.value);
  }
  return flags;
}

/** The end of the message about a flag that does not exist. */
function hint(argument: string): string {
  const typed = argument.replace(/^-+|=.*/gs, "");
  const meant = closest(
    typed,
    Object.keys(facts)
      .flatMap((name) => [flagOf(name), name])
      .concat("help", "version"),
  );
  return meant ? `did you mean --${flagOf(meant)}? See --help.` : "see --help.";
}

/**
 * Parses the text of a setting. Commas separate the items of a list. Only digits make a number, not "1e4" or
 * "0x10".
 */
function parsed(value: string, { type, minimum }: Facts): unknown {
  if (type === "array") return value.split(",").map((item) => item.trim());
  return minimum !== undefined && /^\d+$/.test(value) ? Number(value) : value;
}

/** How messages refer to a setting, and to its valid values. */
interface Wording {
  sourceOf(name: string): string;
  expects(name: string): string;
}

function validated<T extends CommonSettings>(
  valid: ValidateFunction<T>,
  given: Readonly<Record<string, unknown>>,
  wording: Wording,
): T {
  const { sourceOf } = wording;
  for (const name of tokenSettings) mustNotBeEmpty(given, name, sourceOf);
  const settings: unknown = { ...given };
  if (!valid(settings)) throw invalidSetting(valid.errors as [ErrorObject], given, wording);
  if (settings.maxTextChars >= settings.maxPayloadBytes)
    throw new SettingError(`${sourceOf("maxTextChars")} must be less than ${sourceOf("maxPayloadBytes")}.`);
  // The default text length is always accepted, so that a small payload can be set alone.
  const textBytes = longestCharBytes * settings.maxTextChars;
  for (const bound of ["maxPayloadBytes", "sendQueueMaxBytes"] as const) {
    if (settings.maxTextChars === facts.maxTextChars?.default || textBytes < settings[bound]) continue;
    const [text, larger] = [sourceOf("maxTextChars"), sourceOf(bound)];
    throw new SettingError(
      `${text} must be less than a third of ${larger}: a character may take ${longestCharBytes} bytes.`,
    );
  }
  if (settings.authSecret !== undefined && settings.authJwks !== undefined)
    throw new SettingError(`Give ${sourceOf("authSecret")} or ${sourceOf("authJwks")}, not both.`);
  for (const name of ["authIssuer", "authAudience"] as const) {
    if (settings[name] === undefined || settings.authSecret !== undefined || settings.authJwks !== undefined)
      continue;
    throw new SettingError(
      `${sourceOf(name)} asks for tokens: give ${sourceOf("authSecret")} or ${sourceOf("authJwks")}, too.`,
    );
  }
  return settings;
}

/** Settings that, if lost (as by a failed `$(…)` in a script), would admit clients without a valid token. */
const tokenSettings: ReadonlySet<string> = new Set(["authSecret", "authJwks", "authIssuer", "authAudience"]);

function mustNotBeEmpty(
  given: Readonly<Record<string, unknown>>,
  name: string,
  sourceOf: (name: string) => string,
): void {
  if (!Object.hasOwn(given, name)) return;
  const value = given[name];
  if (value === undefined || (typeof value === "string" && value.trim() === ""))
    throw new SettingError(`${sourceOf(name)} is empty: leave it out if no tokens are required.`);
}

function invalidSetting(
  [{ params, instancePath }]: [ErrorObject],
  given: Readonly<Record<string, unknown>>,
  { sourceOf, expects }: Wording,
): SettingError {
  const { additionalProperty: unknown } = params;
  if (unknown) {
    const meant = closest(unknown, Object.keys(RoomSettings.properties));
    return new SettingError(`${sourceOf(unknown)} does not exist${meant ? `; did you mean ${meant}?` : "."}`);
  }
  const [, name = "", index] = instancePath.split("/");
  const value = index === undefined ? given[name] : (given[name] as unknown[])[Number(index)];
  const shown = typeof value === "string" ? JSON.stringify(value) : value;
  // A key or password must not appear in a terminal or a log, even if it is invalid.
  const isSecret =
    name === "authSecret" || name === "redis" || (name === "authJwks" && String(value).includes("@"));
  return new SettingError(`${sourceOf(name)} must be ${expects(name)}${isSecret ? "" : `, not ${shown}`}.`);
}

/** The valid values of a setting, in words. @param list how the items of a list are written */
function expected(
  name: string,
  { title, type, enum: choices, minimum, maximum }: Facts,
  list: string,
): string {
  if (choices) return `one of ${choices.join(", ")}`;
  if (minimum === undefined) return type === "array" ? `${list} ${title}` : String(title);
  const unit = Object.entries(units).find(([suffix]) => name.endsWith(suffix))?.[1] ?? "";
  return `a whole number${unit} from ${minimum} to ${maximum}`;
}

function flagOf(name: string): string {
  return name.replace(/(Ms|Bytes|Chars)$/, "").replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

function variableOf(name: string): string {
  return flagOf(name).replaceAll("-", "_").toUpperCase();
}
