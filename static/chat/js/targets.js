/**
 * Where a message goes, and so which conversation it belongs to:
 * `{kind: "everyone"}`, `{kind: "person", name}` or `{kind: "room", name}`.
 */

import { fold, samePerson } from "./presence.js";

export const EVERYONE = Object.freeze({ kind: "everyone" });
export const person = (name) => ({ kind: "person", name });
export const room = (name) => ({ kind: "room", name });

const TITLES = {
  everyone: () => "Everyone",
  person: ({ name }) => name,
  room: ({ name }) => `#${name}`,
};

/** What the conversation is called, on the screen and to a screen reader. */
export const titleOf = (target) => TITLES[target.kind](target);

const KEYS = {
  everyone: () => "everyone",
  person: ({ name }) => `person:${fold(name)}`,
  room: ({ name }) => `room:${name}`,
};

/** The conversation's identity: one person has one conversation, however the name is spelt. */
export const keyOf = (target) => KEYS[target.kind](target);

/** The conversation that a `chat_message` or a `typing` belongs to, seen by `me`. */
export function targetOf({ room: roomName, to_user: toUser, from_user: fromUser }, me) {
  if (roomName) return room(roomName);
  if (!toUser) return EVERYONE;
  return person(samePerson(fromUser, me) ? toUser : fromUser);
}
