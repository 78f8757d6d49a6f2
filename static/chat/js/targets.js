/**
 * Targets say where a message goes, and so which conversation it belongs to:
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

/** The title of a conversation, also for screen readers. */
export const titleOf = (target) => TITLES[target.kind](target);

const KEYS = {
  everyone: () => "everyone",
  person: ({ name }) => `person:${fold(name)}`,
  room: ({ name }) => `room:${name}`,
};

/** The key of a conversation: the same for all spellings of a person's name. */
export const keyOf = (target) => KEYS[target.kind](target);

/** The target of the conversation to which a `chat_message` or a `typing` belongs for the user `me`. */
export function targetOf({ room: roomName, to_user: toUser, from_user: fromUser }, me) {
  if (roomName) return room(roomName);
  if (!toUser) return EVERYONE;
  return person(samePerson(fromUser, me) ? toUser : fromUser);
}
