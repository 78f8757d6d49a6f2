/** The box of one conversation: a region with its name, its log, the composer, and a close button. */

import { Composer } from "./composer.js";
import { el, icon } from "./dom.js";
import { Log } from "./log.js";
import { Menu } from "./menu.js";
import { hue, initial } from "./presence.js";

const TYPING_MS = 5_000;

const SIGNS = {
  everyone: () => icon("everyone"),
  room: () => "#",
  person: ({ name }) => initial(name),
};

export class Box {
  #typing = new Map();

  constructor(conversation, store, chat) {
    this.conversation = conversation;
    this.store = store;
    this.log = new Log(conversation, (name) => store.isMe(name), () => chat.earlier(conversation));
    this.composer = new Composer(conversation, {
      send: (text, to) => chat.send(conversation, text, to),
      typing: () => chat.typing(conversation),
    });
    this.title = el("bdi", {});
    this.unread = el("span", { class: "unread" });
    this.about = el("p", { class: "about" });
    this.hint = el("p", { class: "hint", "aria-live": "off" });
    const close = () => chat.close(conversation);
    const menu = conversation.target.kind === "person" ? [new Menu(conversation, chat).element] : [];
    this.element = el(
      "section", { class: `box ${conversation.target.kind}`, onfocusin: () => store.read(conversation.key) },
      el(
        "header", {},
        el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[conversation.target.kind](conversation.target)),
        el("div", { class: "heading" }, el("h2", {}, this.title), this.about),
        this.unread, ...menu,
        el("button", { type: "button", class: "quiet close", "aria-label": "Close", onclick: close }, icon("close")),
      ),
      this.log.element, this.hint, this.composer.element,
    );
    if (conversation.target.name) this.element.style.setProperty("--hue", hue(conversation.target.name));
    this.refresh();
  }

  /** Show the conversation's current name, unread count and people. */
  refresh() {
    const { title, unread } = this.conversation;
    this.element.setAttribute("aria-label", title);
    this.title.textContent = title;
    this.unread.textContent = unread || "";
    this.unread.title = unread ? `${unread} unread` : "";
    this.element.classList.toggle("has-unread", unread > 0);
    this.about.textContent = this.#about();
    this.log.earlier.hidden = !this.conversation.hasEarlier;
  }

  #about() {
    const { target, members } = this.conversation;
    const here = target.kind === "person" && this.store.find(target.name) !== undefined;
    this.element.classList.toggle("here", here);
    if (target.kind === "person") return here ? "online" : "not here now";
    if (target.kind === "room") return members.join(", ");
    return this.store.people.length === 1 ? "only you, so far" : `${this.store.people.length} people here`;
  }

  focus() {
    this.element.scrollIntoView({ block: "nearest" });
    this.composer.message.focus({ preventScroll: true });
  }

  /** Show that somebody is typing, until their message arrives or some seconds have passed. */
  typing(name) {
    clearTimeout(this.#typing.get(name));
    this.#typing.set(name, setTimeout(() => this.typed(name), TYPING_MS));
    this.#hint();
  }

  typed(name) {
    clearTimeout(this.#typing.get(name));
    if (this.#typing.delete(name)) this.#hint();
  }

  #hint() {
    const names = [...this.#typing.keys()];
    const texts = ["", `${names[0]} is typing…`, `${names[0]} and ${names[1]} are typing…`];
    this.hint.textContent = texts[names.length] ?? "Several people are typing…";
  }

  /** Remove the box from the page, and keep the unsent text as the conversation's draft. */
  remove() {
    this.conversation.draft = this.composer.message.value;
    this.log.observer.disconnect();
    this.#typing.forEach(clearTimeout);
    this.element.remove();
  }
}
