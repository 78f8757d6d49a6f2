/**
 * The state of the page, without how it is shown or sent. Each change dispatches an event with these properties:
 *
 *     session       the user or the connection has changed           people   the lists of people, rooms or past chats
 *     opened        {conversation}                                   closed   {conversation}
 *     entry         {conversation, entry, index}: a new one          entries  {conversation}: all may have changed
 *     note          {conversation}: its last note has changed        typing   {conversation, name}
 *     conversation  {conversation}: its title, unread count or people have changed
 */

import { changed, fold, roster, samePerson, without } from "./presence.js";
import { EVERYONE, keyOf, room, targetOf, titleOf } from "./targets.js";
import { insert, notePresence } from "./transcript.js";

/** Entries kept of a conversation; older ones are dropped SLACK at a time rather than one with each message. */
export const KEPT = 500;
const SLACK = 100;

export class Store extends EventTarget {
  /** The logged-in user: `{name, authenticated}`; null before the login and after leaving. */
  me = null;
  /** "out", "connected", "reconnecting" or "disconnected". */
  connection = "out";
  people = [];
  #here = new Map();
  groups = [];
  /** Names of closed private conversations that this browser keeps. */
  past = [];
  conversations = new Map();
  /** The key of the conversation that has the focus; null if none has. */
  reading = null;

  #tell(type, detail = {}) {
    this.dispatchEvent(Object.assign(new Event(type), detail));
  }

  /** Handle a `welcome`, after the first login or after a reconnection. */
  welcome({ username, authenticated, users, rooms }) {
    this.me = { name: username, authenticated };
    this.connection = "connected";
    this.people = roster(users);
    this.#here = new Map(users.map((name) => [fold(name), name]));
    this.groups = [...rooms];
    this.#tell("session");
    if (!this.conversations.size) this.open(EVERYONE);
    this.#peopleChanged();
  }

  connectionChanged(connection) {
    if (this.connection === connection) return;
    this.connection = connection;
    this.#tell("session");
  }

  /** Forget everything: the next person at this browser starts with an empty page. */
  leave() {
    for (const conversation of [...this.conversations.values()]) this.#drop(conversation);
    this.conversations.clear();
    this.#here.clear();
    Object.assign(this, { me: null, connection: "out", people: [], groups: [], past: [], reading: null });
    this.#tell("session");
    this.#tell("people");
  }

  get others() {
    return this.people.filter((name) => !this.isMe(name));
  }

  get unread() {
    return [...this.conversations.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  isMe(name) {
    return this.me !== null && samePerson(name, this.me.name);
  }

  /** Return the name, as the server shows it, of the person who is here under any spelling of `name`; or undefined. */
  find(name) {
    return this.#here.get(fold(name));
  }

  /** Return the conversation with this target, open or closed; create it if there is none. */
  conversation(target) {
    const key = keyOf(target);
    let conversation = this.conversations.get(key);
    if (!conversation) {
      const here = target.kind === "person" && this.find(target.name);
      const shown = here ? { ...target, name: here } : target;
      conversation = {
        key, target: shown, title: titleOf(shown), entries: [], unread: 0, open: false, draft: "", members: [],
      };
      this.conversations.set(key, conversation);
    }
    return conversation;
  }

  open(target) {
    const conversation = this.conversation(target);
    if (!conversation.open) {
      conversation.open = true;
      this.#tell("opened", { conversation });
    }
    return conversation;
  }

  close(conversation) {
    conversation.unread = 0;
    this.#drop(conversation);
    if (conversation.target.kind === "room") this.conversations.delete(conversation.key);
    this.#tell("conversation", { conversation });
  }

  #drop(conversation) {
    if (!conversation.open) return;
    conversation.open = false;
    if (this.reading === conversation.key) this.reading = null;
    this.#tell("closed", { conversation });
  }

  /** Add a `chat_message`. Returns its conversation; null if it was there already. */
  receive(payload) {
    const target = targetOf(payload, this.me.name);
    if (target.kind === "room" && !this.conversations.has(keyOf(target))) return null;
    const conversation = target.kind === "person" ? this.open(target) : this.conversation(target);
    if (!this.add(conversation, messageOf(payload))) return null;
    if (!this.isMe(payload.from_user) && this.reading !== conversation.key) {
      conversation.unread += 1;
      this.#tell("conversation", { conversation });
    }
    return conversation;
  }

  /** Insert one message in order. Returns false if it was there already. */
  add(conversation, message) {
    const index = insert(conversation.entries, message);
    if (index < 0) return false;
    this.#tell("entry", { conversation, entry: message, index });
    this.#bound(conversation);
    return true;
  }

  /** Insert many messages in order: from the history of this browser, or a room's last messages. */
  merge(conversation, messages) {
    for (const message of messages) insert(conversation.entries, message);
    this.#tell("entries", { conversation });
  }

  /** Remove all entries. */
  clear(conversation) {
    conversation.entries.length = 0;
    conversation.unread = 0;
    this.#tell("entries", { conversation });
    this.#tell("conversation", { conversation });
  }

  #bound(conversation) {
    const { entries } = conversation;
    if (entries.length <= KEPT + SLACK) return;
    entries.splice(0, entries.length - KEPT);
    this.#tell("entries", { conversation });
  }

  /** Add a note from the page itself to a conversation. */
  note(conversation, note, time = Date.now()) {
    const entry = { time, note };
    conversation.entries.push(entry);
    this.#tell("entry", { conversation, entry, index: conversation.entries.length - 1 });
  }

  /** Handle a `presence` of the whole chat or of one room. */
  presence({ joined = [], left = [], room: roomName }, now = Date.now()) {
    if (roomName) {
      const conversation = this.conversations.get(keyOf(room(roomName)));
      if (conversation) this.#membersChanged(conversation, { joined, left }, now);
      return;
    }
    const news = {
      joined: joined.filter((name) => !this.find(name)),
      left: without(left, joined).filter((name) => this.find(name)),
    };
    this.people = changed(this.people, { joined, left });
    for (const name of left) this.#here.delete(fold(name));
    for (const name of joined) this.#here.set(fold(name), name);
    this.#noteOf(this.conversation(EVERYONE), news, now);
    this.#peopleChanged();
  }

  pastChanged(names) {
    this.past = roster(names);
    this.#tell("people");
  }

  /** Set who is in a room, from the answer to a join. */
  members(conversation, members) {
    conversation.members = roster(members);
    this.#tell("conversation", { conversation });
  }

  #membersChanged(conversation, change, now) {
    conversation.members = changed(conversation.members, change);
    this.#noteOf(conversation, change, now);
    this.#tell("conversation", { conversation });
  }

  #noteOf(conversation, { joined, left }, now) {
    const others = { joined: joined.filter((name) => !this.isMe(name)), left: left.filter((name) => !this.isMe(name)) };
    if (!others.joined.length && !others.left.length) return;
    notePresence(conversation.entries, others, now);
    this.#tell("note", { conversation });
    this.#bound(conversation);
  }

  #peopleChanged() {
    for (const conversation of this.conversations.values()) {
      const { target } = conversation;
      const shown = target.kind === "person" && this.find(target.name);
      if (shown) Object.assign(conversation, { target: { ...target, name: shown }, title: shown });
      this.#tell("conversation", { conversation });
    }
    this.#tell("people");
  }

  typing(payload) {
    const conversation = this.conversations.get(keyOf(targetOf(payload, this.me.name)));
    if (conversation && !this.isMe(payload.from_user)) this.#tell("typing", { conversation, name: payload.from_user });
  }

  /** Mark the conversation with this key as the one being read; null means none. */
  read(key) {
    this.reading = key;
    const conversation = this.conversations.get(key);
    if (!conversation?.unread) return;
    conversation.unread = 0;
    this.#tell("conversation", { conversation });
  }
}

/** Convert a `chat_message` to a transcript entry. */
export function messageOf({ id, time, from_user: from, text }) {
  return { id, time, from, text };
}
