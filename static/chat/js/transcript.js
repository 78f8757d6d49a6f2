/**
 * A transcript is an array of entries, oldest first: messages `{id, time, from, text}` (`time` in ms since the Unix
 * epoch) and notes `{time, note}` or `{time, joined, left}`. Pure functions: what comes where, and how it reads.
 */

import { fold, without } from "./presence.js";

/** Two messages of one person this close together stand under one heading. */
const GROUP_MS = 5 * 60_000;
/** People who come and go this close together share one note. */
const NOTE_MS = 2 * 60_000;
const NAMED = 3;

/**
 * Put a message in its place and return its index, or -1 where its id is there already. Ids sort in the order of
 * sending; notes have none and stay where they are.
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

/** Whether a mark with the date belongs between two entries; `previous` is undefined for the first. */
export const startsDay = (previous, next) => !previous || dayOf(previous.time) !== dayOf(next.time);

/** Whether a message goes on under the heading of the one before it. */
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
 * Tell of people who came and went in the last note if that is what it tells, else in a new one. Who left and came
 * back within one note (a page loaded again) is not worth a word. Returns the note, or undefined where none is left.
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

/** A note as a sentence. */
export function noteText({ note, joined = [], left = [] }) {
  if (note) return note;
  const parts = [];
  if (joined.length) parts.push(`${listed(joined)} joined`);
  if (left.length) parts.push(`${listed(left)} left`);
  return parts.join(" · ");
}

/** Addresses end before white space, brackets and quotes, and before anything that reorders or hides what is read. */
const ADDRESS = /https?:\/\/[^\s<>"`{}|\\^\p{Cc}\p{Cf}]+/giu;
const TRAILING = /[.,;:!?'’”»…*_~]+$/u;
const PAIRS = { ")": "(", "]": "[" };

const count = (text, character) => text.split(character).length - 1;

/** The part of a match that a writer would call the address: no full stop, no bracket that opened before it. */
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

/** Text as segments `{text, href?}`: web addresses carry where they lead, nothing else is interpreted. */
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
