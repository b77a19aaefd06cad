export type Labels = Record<string, string>;

/** The name of a series with its labels in the order of the alphabet, so that two writers of it agree. */
export function series(name: string, labels: Labels = {}): string {
  const pairs = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}="${value}"`);
  return pairs.length > 0 ? `${name}{${pairs}}` : name;
}

/** The name of a series without its labels. */
export const nameOf = (key: string): string => key.replace(/\{.*/, "");

/** The samples of an exposition (Prometheus text format 0.0.4), by their series. */
export function samples(exposition: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of exposition.split("\n")) {
    const [, name, labels = "", value] = line.match(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [
      label,
      value,
    ]);
    found.set(series(name, Object.fromEntries(pairs)), Number(value));
  }
  return found;
}

/** All series of one name together, as far as their labels begin so. */
export function total(found: ReadonlyMap<string, number>, name: string, having = ""): number {
  let sum = 0;
  for (const [key, value] of found) if (nameOf(key) === name && key.includes(having)) sum += value;
  return sum;
}
