/** The field for the next message: Enter sends, Shift+Enter starts a new line, a refused text returns to the field. */

import { alertOf, el, icon } from "./dom.js";
import { Outbox } from "./outbox.js";

const TYPING_MS = 3_000;
/** Show "Sending…" only after this time: most messages arrive sooner, and it would just flicker. */
const SLOW_MS = 500;

export class Composer {
  #typedAt = 0;
  #timer = 0;

  /** `send(text, to)` rejects with a Refusal; `typing()` tells the others that the user is typing. */
  constructor({ target, draft }, { send, typing }) {
    this.typing = typing;
    this.message = el("textarea", {
      class: "message", "aria-label": "Message", placeholder: "Message", rows: "1", dir: "auto", enterkeyhint: "send",
      onkeydown: (event) => this.#key(event), oninput: () => this.#typed(),
    });
    this.message.value = draft;
    this.sendTo = target.kind === "everyone" ? this.#sendTo() : null;
    this.underWay = el("div", { class: "under-way", "aria-live": "off" });
    this.alerts = el("div", { class: "alerts" });
    this.outbox = new Outbox({
      send: ({ text, to }) => send(text, to),
      changed: (texts) => this.#show(texts),
      failed: (texts, reason) => this.#giveBack(texts, reason),
    });
    this.element = el(
      "form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.underWay, this.alerts, ...(this.sendTo ? [this.sendToRow] : []),
      el(
        "div", { class: "writing" }, this.message,
        el("button", { type: "submit", class: "send", "aria-label": "Send" }, icon("send")),
      ),
    );
  }

  #sendTo() {
    const input = el("input", {
      class: "to", "aria-label": "Send to", placeholder: "everyone", autocomplete: "off", autocapitalize: "off",
      spellcheck: "false", dir: "auto", oninput: () => this.#addressed(), onkeydown: (event) => this.#toKey(event),
    });
    this.sendToRow = el("label", { class: "send-to" }, el("span", { "aria-hidden": "true" }, "Send to"), input);
    return input;
  }

  #addressed() {
    this.alerts.replaceChildren();
    this.element.classList.toggle("private", this.sendTo.value.trim() !== "");
  }

  /** Enter in `Send to` moves on to the message if that is still empty. */
  #toKey(event) {
    if (event.key !== "Enter" || event.isComposing || this.message.value.trim()) return;
    event.preventDefault();
    this.message.focus();
  }

  #key(event) {
    // Enter that ends an input method's composition must not send (229: browsers that end it before the key event).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  #typed() {
    this.alerts.replaceChildren();
    const now = Date.now();
    if (this.sendTo?.value.trim() || !this.message.value.trim() || now - this.#typedAt < TYPING_MS) return;
    this.#typedAt = now;
    this.typing();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.message.value;
    if (!text.trim()) return;
    this.alerts.replaceChildren();
    this.message.value = "";
    this.#typedAt = 0;
    this.outbox.put({ text, to: this.sendTo?.value.trim() });
  }

  #show(texts) {
    clearTimeout(this.#timer);
    if (!texts.length) return this.underWay.replaceChildren();
    this.#timer = setTimeout(() => {
      const messages = texts.map((text) => el("p", { dir: "auto" }, text));
      this.underWay.replaceChildren(...messages, el("small", {}, "Sending…"));
    }, SLOW_MS);
  }

  #giveBack(texts, reason) {
    this.message.value = [...texts, this.message.value].filter(Boolean).join("\n");
    this.alerts.replaceChildren(alertOf(reason.message));
  }
}
