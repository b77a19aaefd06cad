/**
 * The name that was probably meant: the closest one, if at most about a third of the typed characters differ.
 * Capitals and word separators are ignored: `maxRooms` and `max_rooms` equal `max-rooms`.
 */
export function closest(typed: string, names: Iterable<string>): string | undefined {
  const plain = kebab(typed);
  let best: string | undefined;
  let fewest = Math.ceil(plain.length / 3) + 1;
  for (const name of names) {
    // A long text was pasted by mistake; comparing it would be slow.
    const changes = plain.length > 64 ? fewest : distance(plain, kebab(name));
    if (changes >= fewest) continue;
    [best, fewest] = [name, changes];
  }
  return best;
}

const kebab = (name: string) =>
  name
    .replace(/[a-z](?=[A-Z])/g, "$&-")
    .replaceAll("_", "-")
    .toLowerCase();

/**
 * The number of insertions, deletions, replacements and swaps of neighbours (optimal string alignment
 * distance).
 */
function distance(from: string, to: string): number {
  let [beforeLast, last] = [[] as number[], Array.from({ length: to.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current[column] = Math.min(
        Number(last[column]) + 1,
        Number(current[column - 1]) + 1,
        Number(last[column - 1]) + (same ? 0 : 1),
        swapped ? Number(beforeLast[column - 2]) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforeLast, last] = [last, current];
  }
  return Number(last[to.length]);
}
