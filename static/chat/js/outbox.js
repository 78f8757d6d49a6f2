/**
 * Sends one conversation's messages in the order of writing, one at a time. Where one is refused, it and those that
 * wait behind it come back to the writer as they were: nothing is lost, and nothing overtakes.
 */
export class Outbox {
  #waiting = [];
  #busy = false;

  /** `send(message)` rejects with the reason; `changed(texts)` hears what is under way; `failed(texts, reason)`. */
  constructor({ send, changed, failed }) {
    Object.assign(this, { send, changed, failed });
  }

  /** Queue `{text, to}`. */
  put(message) {
    this.#waiting.push(message);
    this.#tell();
    if (!this.#busy) this.#run();
  }

  #tell() {
    this.changed(this.#waiting.map(({ text }) => text));
  }

  async #run() {
    this.#busy = true;
    while (this.#waiting.length) {
      try {
        await this.send(this.#waiting[0]);
        this.#waiting.shift();
        this.#tell();
      } catch (reason) {
        const back = this.#waiting.splice(0);
        this.#tell();
        this.failed(back.map(({ text }) => text), reason);
      }
    }
    this.#busy = false;
  }
}
