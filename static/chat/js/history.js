/**
 * Private conversations, stored only in this browser (IndexedDB), by the two names: the user's and the other person's.
 *
 * Names are compared without their asterisk and without case (`Alex*` and `alex` are one person). Messages are stored
 * by id, so several tabs with the same name store each message once.
 */

import { fold } from "./presence.js";

const NAME = "webchat";
const VERSION = 1;

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function create({ target: { result: db } }) {
  db.createObjectStore("boxes", { keyPath: ["me", "them"] });
  db.createObjectStore("messages", { keyPath: ["me", "them", "id"] });
}

/** The range of keys that begin with these parts: an array sorts after any string. */
const under = (...parts) => IDBKeyRange.bound(parts, [...parts, []]);

export class History {
  /** The database; null if the browser forbids storage, as in private windows. Nothing is kept then. */
  #db = this.#open();

  async #open() {
    try {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = create;
      const db = await settled(request);
      db.onversionchange = () => db.close();
      return db;
    } catch {
      return null;
    }
  }

  /** Call `use` with an object store and return its result; without a database, return `otherwise`. */
  async #with(name, mode, use, otherwise) {
    const db = await this.#db;
    return db ? use(db.transaction(name, mode).objectStore(name)) : otherwise;
  }

  /** Return the conversations of this user, in the order in which they were opened: `{name, open, since}`. */
  async boxes(me) {
    const boxes = await this.#with("boxes", "readonly", (store) => settled(store.getAll(under(fold(me)))), []);
    return boxes.sort((one, other) => one.since - other.since);
  }

  /** Remember a conversation as open or closed. */
  box(me, name, open) {
    const record = { me: fold(me), them: fold(name), name, open, since: Date.now() };
    return this.#with("boxes", "readwrite", (store) => settled(store.put(record)));
  }

  /** Store one message `{id, time, from, text}`. */
  append(me, name, message) {
    const record = { ...message, me: fold(me), them: fold(name) };
    return this.#with("messages", "readwrite", (store) => settled(store.put(record)));
  }

  /** Return the last `limit` messages (default: all), oldest first; with `before`, only those with smaller ids. */
  load(me, name, { before, limit = Infinity } = {}) {
    const pair = [fold(me), fold(name)];
    const range = before === undefined ? under(...pair) : IDBKeyRange.bound(pair, [...pair, before], false, true);
    return this.#with("messages", "readonly", (store) => lastOf(store.openCursor(range, "prev"), limit), []);
  }

  /** Delete a conversation and all its messages. */
  async forget(me, name) {
    const pair = [fold(me), fold(name)];
    await this.#with("messages", "readwrite", (store) => settled(store.delete(under(...pair))));
    await this.#with("boxes", "readwrite", (store) => settled(store.delete(pair)));
  }
}

/** Read up to `limit` messages with a backwards cursor, and return them oldest first. */
const lastOf = (request, limit) => new Promise((resolve, reject) => {
  const messages = [];
  request.onerror = () => reject(request.error);
  request.onsuccess = () => {
    const cursor = request.result;
    if (!cursor || messages.length >= limit) return resolve(messages.reverse());
    const { id, time, from, text } = cursor.value;
    messages.push({ id, time, from, text });
    cursor.continue();
  };
});
