/** The menu of a private conversation: export or delete what this browser keeps of it. */

import { el, icon } from "./dom.js";

export class Menu {
  constructor(conversation, chat) {
    this.conversation = conversation;
    this.chat = chat;
    this.panel = el("div", { class: "panel" });
    this.summary = el("summary", { class: "quiet", "aria-label": "More" }, icon("more"));
    this.element = el(
      "details", {
        class: "menu", ontoggle: () => this.#choices(), onkeydown: (event) => this.#key(event),
        onfocusout: (event) => this.#left(event),
      },
      this.summary, this.panel,
    );
    this.#choices();
  }

  #choices() {
    this.panel.replaceChildren(
      this.#button("Export as JSON", () => this.#export()),
      this.#button("Delete history…", () => this.#confirm()),
    );
  }

  #confirm() {
    const keep = this.#button("Keep", () => this.#close());
    this.panel.replaceChildren(
      el("p", {}, "Delete what this browser keeps of this conversation? It is kept nowhere else on your side."),
      this.#button("Delete for good", () => this.#delete(), "danger"), keep,
    );
    keep.focus();
  }

  #button(label, onclick, kind = "") {
    return el("button", { type: "button", class: kind, onclick }, label);
  }

  async #export() {
    const { title } = this.conversation;
    const file = new Blob([await this.chat.exported(this.conversation)], { type: "application/json" });
    const href = URL.createObjectURL(file);
    el("a", { href, download: `webchat with ${title.replaceAll("*", "")}.json` }).click();
    URL.revokeObjectURL(href);
    this.#close();
  }

  async #delete() {
    await this.chat.forget(this.conversation);
    this.#close();
  }

  #close() {
    this.element.open = false;
    this.summary.focus();
  }

  #key(event) {
    if (event.key === "Escape" && this.element.open) this.#close();
  }

  #left({ relatedTarget }) {
    // The panel replaces its buttons with each question. Focus that is lost this way has not left the menu.
    if (relatedTarget && !this.element.contains(relatedTarget)) this.element.open = false;
  }
}
