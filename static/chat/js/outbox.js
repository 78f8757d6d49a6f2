/**
 * Sends the messages of one conversation in order, one at a time. If one is refused, it and all messages queued after
 * it are given back unchanged, so that none is lost and none overtakes another.
 */
export class Outbox {
  #waiting = [];
  #busy = false;

  /** `send(message)` rejects with a reason; `changed(texts)` gets the queue, `failed(texts, reason)` what is unsent. */
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
