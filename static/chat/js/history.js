/**
 * Private conversations, kept in this browser only (IndexedDB), under the pair of names: mine and the other's.
 *
 * A name counts without its badge and in any case (`Alex*` and `alex` are one person). Messages are kept by id, so
 * that several tabs of one name write each message once.
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

/** Every key that begins with these parts; an array sorts after any string. */
const under = (...parts) => IDBKeyRange.bound(parts, [...parts, []]);

export class History {
  /** The database, or null where the browser forbids storage (private windows): nothing is kept then. */
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

  /** Do something with a store; without a database the outcome is `otherwise`. */
  async #with(name, mode, use, otherwise) {
    const db = await this.#db;
    return db ? use(db.transaction(name, mode).objectStore(name)) : otherwise;
  }

  /** The conversations of that name, in the order of opening: `{name, open, since}`. */
  async boxes(me) {
    const boxes = await this.#with("boxes", "readonly", (store) => settled(store.getAll(under(fold(me)))), []);
    return boxes.sort((one, other) => one.since - other.since);
  }

  /** Remember a conversation as open or closed. */
  box(me, name, open) {
    const record = { me: fold(me), them: fold(name), name, open, since: Date.now() };
    return this.#with("boxes", "readwrite", (store) => settled(store.put(record)));
  }

  /** Keep one message `{id, time, from, text}`. */
  append(me, name, message) {
    const record = { ...message, me: fold(me), them: fold(name) };
    return this.#with("messages", "readwrite", (store) => settled(store.put(record)));
  }

  /** The last `limit` messages older than the id `before` (all of them without), oldest first. */
  load(me, name, { before, limit = Infinity } = {}) {
    const pair = [fold(me), fold(name)];
    const range = before === undefined ? under(...pair) : IDBKeyRange.bound(pair, [...pair, before], false, true);
    return this.#with("messages", "readonly", (store) => lastOf(store.openCursor(range, "prev"), limit), []);
  }

  /** Delete a conversation and all that was said in it. */
  async forget(me, name) {
    const pair = [fold(me), fold(name)];
    await this.#with("messages", "readwrite", (store) => settled(store.delete(under(...pair))));
    await this.#with("boxes", "readwrite", (store) => settled(store.delete(pair)));
  }
}

/** Up to `limit` messages that a cursor meets on its way back, oldest first. */
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
