/**
 * A transcript is an array of entries, oldest first: messages `{id, time, from, text}` (`time` in ms since the Unix
 * epoch) and notes `{time, note}` or `{time, joined, left}`. Pure functions that order entries and format them.
 */

import { fold, without } from "./presence.js";

/** Messages of one person within this time share a heading. */
const GROUP_MS = 5 * 60_000;
/** People who come and go within this time share a note. */
const NOTE_MS = 2 * 60_000;
const NAMED = 3;

/**
 * Insert a message in order and return its index; -1 if its id is there already. Ids sort in the order of sending;
 * notes have none and stay where they are.
 */
export function insert(entries, message) {
  let index = entries.length;
  for (let i = entries.length - 1; i >= 0; i--) {
    const { id } = entries[i];
    if (id === undefined) continue;
    if (id === message.id) return -1;
    if (id < message.id) break;
    index = i;
  }
  entries.splice(index, 0, message);
  return index;
}

const dayOf = (time) => new Date(time).toDateString();

/** Whether the date is shown between two entries; `previous` is undefined for the first. */
export const startsDay = (previous, next) => !previous || dayOf(previous.time) !== dayOf(next.time);

/** Whether a message belongs under the same heading as the previous entry. */
export function continues(previous, next) {
  return Boolean(
    previous?.id !== undefined && next.id !== undefined
      && fold(previous.from) === fold(next.from)
      && Math.abs(next.time - previous.time) < GROUP_MS
      && !startsDay(previous, next),
  );
}

const formats = {
  time: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }),
  day: new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" }),
  full: new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" }),
};

export const clock = (time) => formats.time.format(time);
export const day = (time) => formats.day.format(time);
export const fullTime = (time) => formats.full.format(time);

/**
 * Add people who came and went to the last note if it is recent and about the same, otherwise to a new one. People who
 * left and came back within one note (who reloaded the page) are not mentioned. Returns the note; undefined if it is
 * empty and was removed.
 */
export function notePresence(entries, { joined, left }, now) {
  const last = entries.at(-1);
  const goesOn = last?.joined && now - last.time < NOTE_MS;
  const before = goesOn ? entries.pop() : { joined: [], left: [], time: now };
  const note = {
    time: before.time,
    joined: [...without(before.joined, left), ...without(without(joined, before.left), before.joined)],
    left: [...without(before.left, joined), ...without(without(left, before.joined), before.left)],
  };
  if (!note.joined.length && !note.left.length) return undefined;
  entries.push(note);
  return note;
}

function listed(names) {
  if (names.length <= NAMED) return new Intl.ListFormat("en").format(names);
  return `${names.slice(0, NAMED - 1).join(", ")} and ${names.length - NAMED + 1} others`;
}

/** Return a note as text. */
export function noteText({ note, joined = [], left = [] }) {
  if (note) return note;
  const parts = [];
  if (joined.length) parts.push(`${listed(joined)} joined`);
  if (left.length) parts.push(`${listed(left)} left`);
  return parts.join(" · ");
}

/** Addresses end before spaces, brackets and quotes, and before characters that reorder or hide text. */
const ADDRESS = /https?:\/\/[^\s<>"`{}|\\^\p{Cc}\p{Cf}]+/giu;
const TRAILING = /[.,;:!?'’”»…*_~]+$/u;
const PAIRS = { ")": "(", "]": "[" };

const count = (text, character) => text.split(character).length - 1;

/** Return a match without the punctuation and the closing brackets that belong to the sentence around it. */
function address(match) {
  for (;;) {
    const shorter = match.replace(TRAILING, "");
    const close = shorter.at(-1);
    const unopened = close in PAIRS && count(shorter, close) > count(shorter, PAIRS[close]);
    const next = unopened ? shorter.slice(0, -1) : shorter;
    if (next === match) return match;
    match = next;
  }
}

function parsed(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url && (url.protocol === "http:" || url.protocol === "https:") ? url.href : null;
}

/** Split text into segments `{text, href?}`: web addresses have an `href`; nothing else is interpreted. */
export function linkify(text) {
  const segments = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const shown = address(match[0]);
    const href = parsed(shown);
    if (!href) continue;
    if (match.index > end) segments.push({ text: text.slice(end, match.index) });
    segments.push({ text: shown, href });
    end = match.index + shown.length;
  }
  if (end < text.length) segments.push({ text: text.slice(end) });
  return segments;
}
