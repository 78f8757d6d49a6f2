/** Who is here: pure functions on names and on sorted lists of names. */

/** The name without its badge: an account's name is its own, so `Alex` and `Alex*` are one person. */
export const bare = (name) => name.replace(/[*＊∗⁎﹡]+$/u, "").trim();

/** What two spellings of one name have in common; the key for looking a person up. */
export const fold = (name) => bare(name).normalize("NFKC").toLowerCase();

export const samePerson = (one, other) => fold(one) === fold(other);

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

/** Alphabetical for the reader's language; names that it holds equal keep one order all the same. */
export const byName = (one, other) => collator.compare(one, other) || (one < other ? -1 : one > other ? 1 : 0);

/** The sorted list of everybody named, each person once. */
export function roster(names) {
  return [...new Map(names.map((name) => [fold(name), name])).values()].sort(byName);
}

/** Those of the names that are not among the others, in any spelling. */
export function without(names, others) {
  if (!names.length || !others.length) return names;
  const keys = new Set(others.map(fold));
  return names.filter((name) => !keys.has(fold(name)));
}

/** Where a name belongs in a sorted list: the first index whose name does not come before it. */
function placeOf(name, names) {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byName(names[middle], name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The sorted list after a `presence`. A person who changed spelling is in both halves, so leaving comes first; the
 * list is not sorted anew, for it may hold thousands while a few come and go.
 */
export function changed(names, { joined = [], left = [] }) {
  const after = [...without(without(names, left), joined)];
  for (const name of roster(joined)) after.splice(placeOf(name, after), 0, name);
  return after;
}

/** A hue (degrees) that belongs to a name wherever it is shown: FNV-1a over its key, one of 24 steps. */
export function hue(name) {
  let hash = 0x811c9dc5;
  for (const character of fold(name)) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 15)) % 24) * 15;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The first letter, or whatever the reader takes for one. */
export function initial(name) {
  for (const { segment } of graphemes.segment(bare(name))) return segment.toUpperCase();
  return "?";
}
