/** Connects wire, store and history: carries out what the user does, and handles what the server sends. */

import { samePerson } from "./presence.js";
import { messageOf } from "./store.js";
import { EVERYONE, keyOf, person, room } from "./targets.js";
import { clock } from "./transcript.js";

const PAGE = 100;
const TOKEN = "webchat.token";

export class Chat extends EventTarget {
  #lostAt = 0;

  constructor(wire, store, history) {
    super();
    Object.assign(this, { wire, store, history });
    const on = (event, handle) => wire.addEventListener(event, ({ detail }) => handle.call(this, detail));
    on("welcome", this.#welcomed);
    on("lost", this.#lost);
    on("refused", this.#refused);
    on("chat_message", this.#received);
    on("presence", (payload) => store.presence(payload));
    on("typing", (payload) => store.typing(payload));
    on("notice", ({ message }) => this.#warn(message));
    store.addEventListener("opened", ({ conversation }) => this.#opened(conversation));
  }

  #tell(type, detail) {
    this.dispatchEvent(Object.assign(new Event(type), { detail }));
  }

  /** Show the user a sentence from the server or from the page itself. */
  #warn(message) {
    this.#tell("warning", message);
  }

  login(username, password) {
    this.wire.login({ username, password, token: keptToken(username) });
  }

  leave() {
    this.wire.leave();
    keepToken(null);
    this.store.leave();
  }

  retry() {
    this.store.connectionChanged("reconnecting");
    this.wire.retry();
  }

  #welcomed(payload) {
    const returned = this.store.me !== null;
    this.store.welcome(payload);
    keepToken({ username: payload.username, token: payload.token });
    if (returned) this.#returned();
    else this.#restore(payload.username);
  }

  /** Open the boxes that were open under this name before. */
  async #restore(me) {
    const boxes = await this.history.boxes(me);
    if (this.store.me?.name !== me) return;
    for (const { name, open } of boxes) if (open) this.store.open(person(name));
    this.#listPast();
  }

  async #listPast() {
    const me = this.store.me?.name;
    if (!me) return;
    const boxes = await this.history.boxes(me);
    if (this.store.me?.name === me) this.store.pastChanged(boxes.filter(({ open }) => !open).map(({ name }) => name));
  }

  #returned() {
    const everyone = this.store.conversation(EVERYONE);
    this.store.note(everyone, `Back after a lost connection; what was said since ${clock(this.#lostAt)} is not shown.`);
    for (const { target, open } of this.store.conversations.values()) {
      if (open && target.kind === "room") this.#enter(target.name);
    }
  }

  #lost() {
    if (this.store.connection === "connected") this.#lostAt = Date.now();
    this.store.connectionChanged("reconnecting");
  }

  #refused(refusal) {
    if (this.store.me) this.store.connectionChanged("disconnected");
    this.#tell("refused", refusal);
  }

  #received(payload) {
    const conversation = this.store.receive(payload);
    if (conversation?.target.kind === "person") this.#keep(conversation, payload);
  }

  async #keep(conversation, payload) {
    try {
      await this.history.append(this.store.me.name, conversation.target.name, messageOf(payload));
    } catch (error) {
      this.#warn(`This browser could not keep a private message: ${error.message}`);
    }
  }

  #opened(conversation) {
    if (conversation.target.kind === "room") this.#enter(conversation.target.name);
    if (conversation.target.kind === "person") this.#recall(conversation);
  }

  async #recall(conversation) {
    const me = this.store.me.name;
    await this.history.box(me, conversation.target.name, true);
    this.#listPast();
    const messages = await this.history.load(me, conversation.target.name, { limit: PAGE });
    if (this.store.me?.name !== me) return;
    conversation.hasEarlier = messages.length === PAGE;
    this.store.merge(conversation, messages);
  }

  async #enter(name) {
    try {
      const { members, history } = await this.wire.join(name);
      const conversation = this.store.conversations.get(keyOf(room(name)));
      if (!conversation) return;
      this.store.merge(conversation, history.map(messageOf));
      this.store.members(conversation, members);
    } catch (refusal) {
      this.#warn(`#${name}: ${refusal.message}`);
    }
  }

  open(target) {
    return this.store.open(target);
  }

  /** Close a conversation. A private one is kept in this browser; a room is left. */
  close(conversation) {
    const { kind, name } = conversation.target;
    this.store.close(conversation);
    if (kind === "person") this.#putAway(conversation);
    if (kind === "room") this.wire.part(name).catch(() => {});
  }

  async #putAway({ target, entries }) {
    const me = this.store.me.name;
    await (entries.length ? this.history.box(me, target.name, false) : this.history.forget(me, target.name));
    this.#listPast();
  }

  /** Send a text to a conversation or, with `to`, to one person. Rejects with a Refusal. */
  async send(conversation, text, to = "") {
    const target = to ? person(this.store.find(to) ?? to) : conversation.target;
    const { id, time } = await this.wire.say(target, text);
    // The server does not send a private message back to the connection that sent it.
    if (target.kind !== "person" || !this.store.me) return;
    this.#received({ id, time, text, from_user: this.store.me.name, to_user: target.name });
  }

  typing(conversation) {
    this.wire.typing(conversation.target);
  }

  /** Show older messages of a private conversation that this browser keeps. */
  async earlier(conversation) {
    const before = conversation.entries.find(({ id }) => id !== undefined)?.id;
    const messages = await this.history.load(this.store.me.name, conversation.target.name, { before, limit: PAGE });
    conversation.hasEarlier = messages.length === PAGE;
    this.store.merge(conversation, messages);
  }

  /** Return all messages of a private conversation that this browser keeps, as a JSON document. */
  async exported(conversation) {
    const { name } = conversation.target;
    const me = this.store.me.name;
    const messages = await this.history.load(me, name);
    return JSON.stringify({ me, with: name, exported: new Date().toISOString(), messages }, null, 2);
  }

  async forget(conversation) {
    await this.history.forget(this.store.me.name, conversation.target.name);
    conversation.hasEarlier = false;
    this.store.clear(conversation);
  }
}

/** Return the token with which this tab gets its name back after the page was reloaded. */
function keptToken(username) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(TOKEN));
    return kept && samePerson(kept.username, username) ? kept.token : undefined;
  } catch {
    return undefined;
  }
}

function keepToken(kept) {
  try {
    sessionStorage.setItem(TOKEN, JSON.stringify(kept));
  } catch {
    // Without storage it only takes longer to get a lost name back.
  }
}
