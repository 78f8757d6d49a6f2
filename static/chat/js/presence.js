/** Who is here: pure functions for names and sorted lists of names. */

/** The name without its asterisk: nobody else can have an account's name, so `Alex` and `Alex*` are one person. */
export const bare = (name) => name.replace(/[*＊∗⁎﹡]+$/u, "").trim();

/** The key under which a person is found: the same for all spellings of a name. */
export const fold = (name) => bare(name).normalize("NFKC").toLowerCase();

export const samePerson = (one, other) => fold(one) === fold(other);

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

/** Compare alphabetically in the reader's language; names that are equal in it still have a fixed order. */
export const byName = (one, other) => collator.compare(one, other) || (one < other ? -1 : one > other ? 1 : 0);

/** Return the names sorted, each person once. */
export function roster(names) {
  return [...new Map(names.map((name) => [fold(name), name])).values()].sort(byName);
}

/** Return the names that are not among the others in any spelling. */
export function without(names, others) {
  if (!names.length || !others.length) return names;
  const keys = new Set(others.map(fold));
  return names.filter((name) => !keys.has(fold(name)));
}

/** The index at which a name belongs in a sorted list. */
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
 * Return the sorted list after a `presence`. A person who changed the spelling of their name is in both `joined` and
 * `left`, so `left` is applied first. The list is not sorted again: it can have thousands of names while few change.
 */
export function changed(names, { joined = [], left = [] }) {
  const after = [...without(without(names, left), joined)];
  for (const name of roster(joined)) after.splice(placeOf(name, after), 0, name);
  return after;
}

/** The hue of a name in degrees, one of 24: FNV-1a of its key, so that it is the same everywhere. */
export function hue(name) {
  let hash = 0x811c9dc5;
  for (const character of fold(name)) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 15)) % 24) * 15;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The first grapheme (what a reader perceives as one letter) in upper case. */
export function initial(name) {
  for (const { segment } of graphemes.segment(bare(name))) return segment.toUpperCase();
  return "?";
}
