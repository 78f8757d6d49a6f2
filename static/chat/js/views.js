/** The page: login bar, header and boxes. Renders the store, and passes the user's actions to the chat. */

import { Box } from "./box.js";
import { alertOf, el } from "./dom.js";
import { Nudge } from "./nudge.js";
import { Picker } from "./picker.js";
import { EVERYONE, keyOf, person, room, titleOf } from "./targets.js";

const byId = (id) => document.getElementById(id);

const STATUS = {
  out: () => "Disconnected",
  connected: ({ name }) => `Connected as ${name}`,
  reconnecting: () => "Reconnecting…",
  disconnected: () => "Disconnected",
};

export class Page {
  #boxes = new Map();

  constructor(store, chat) {
    Object.assign(this, { store, chat });
    this.#login();
    this.#header();
    this.#conversations();
    this.nudge = new Nudge(byId("nudge"), (conversation) => this.#focus(conversation));
    chat.addEventListener("refused", ({ detail }) => this.#refused(detail));
    chat.addEventListener("warning", ({ detail }) => this.#warn(detail));
    window.addEventListener("focus", () => this.#attend());
    window.addEventListener("blur", () => store.read(null));
  }

  // The login bar

  #login() {
    const { username, password } = this.form = byId("login");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.form.ariaBusy === "true") return;
      this.form.ariaBusy = "true";
      byId("login-alert").replaceChildren();
      this.chat.login(username.value, password.value);
    });
  }

  #refused({ code, message }) {
    if (this.store.me) {
      this.#warn(message, "Try again", () => this.#retry());
      return;
    }
    this.form.ariaBusy = "false";
    byId("login-alert").replaceChildren(alertOf(message));
    const field = code === "bad-credentials" ? this.form.password : this.form.username;
    field.focus();
    field.select();
  }

  #retry() {
    byId("warnings").replaceChildren();
    this.chat.retry();
  }

  // The header

  #header() {
    const { store, chat } = this;
    const open = (target) => this.#focus(chat.open(target));
    this.users = new Picker(byId("users"), (name) => open(person(name)));
    this.rooms = new Picker(byId("rooms"), (name) => open(room(name)));
    this.past = new Picker(byId("past"), (name) => open(person(name)));
    byId("everyone").addEventListener("click", () => open(EVERYONE));
    byId("leave").addEventListener("click", () => chat.leave());
    store.addEventListener("session", () => this.#session());
    store.addEventListener("people", () => this.#people());
  }

  #session() {
    const { store } = this;
    const inside = store.me !== null;
    document.documentElement.dataset.connection = store.connection;
    byId("outside").hidden = inside;
    byId("inside").hidden = byId("boxes").hidden = !inside;
    const status = STATUS[store.connection](store.me);
    if (byId("status").textContent !== status) byId("status").textContent = status;
    if (store.connection === "connected") byId("warnings").replaceChildren();
    if (inside) {
      this.form.ariaBusy = "false";
      this.form.password.value = "";
    } else {
      byId("warnings").replaceChildren();
      this.form.username.focus();
    }
  }

  #people() {
    const { others, groups, past } = this.store;
    const count = others.length;
    this.users.prompt.textContent = count ? `Talk to… (${count})` : "Nobody else yet";
    this.users.offer(others);
    byId("rooms-field").hidden = !groups.length;
    this.rooms.offer(groups, (name) => `#${name}`);
    byId("past-field").hidden = !past.length;
    this.past.offer(past);
  }

  #warn(message, label = "Dismiss", act = () => byId("warnings").replaceChildren()) {
    byId("warnings").replaceChildren(alertOf(message, el("button", { type: "button", onclick: act }, label)));
  }

  // The conversations

  #conversations() {
    const { store } = this;
    const on = (event, handle) => {
      store.addEventListener(event, (told) => handle(told, this.#boxes.get(told.conversation.key)));
    };
    on("opened", ({ conversation }) => this.#opened(conversation));
    on("closed", ({ conversation }, box) => this.#closed(conversation, box));
    on("entry", ({ entry, index }, box) => this.#entry(entry, index, box));
    on("entries", (_, box) => { box?.log.refresh(); box?.refresh(); });
    on("note", (_, box) => box?.log.renote());
    on("typing", ({ name }, box) => box?.typing(name));
    on("conversation", (_, box) => { box?.refresh(); this.#unread(); });
  }

  #opened(conversation) {
    const box = new Box(conversation, this.store, this.chat);
    this.#boxes.set(conversation.key, box);
    if (conversation.target.kind === "everyone") byId("boxes").prepend(box.element);
    else byId("boxes").append(box.element);
    this.nudge.watch(box);
    this.#unread();
    // Only the first conversation of a session gets the focus; later ones must not interrupt typing.
    if (this.#boxes.size === 1) this.#focus(conversation);
  }

  #closed(conversation, box) {
    const hadFocus = box.element.contains(document.activeElement);
    this.nudge.unwatch(box);
    box.remove();
    this.#boxes.delete(conversation.key);
    if (hadFocus && this.store.me) (this.#boxes.values().next().value?.composer.message ?? byId("users")).focus();
    this.#unread();
  }

  #entry(entry, index, box) {
    if (entry.from) box?.typed(entry.from);
    box?.log.add(entry, index);
  }

  #focus(conversation) {
    this.#boxes.get(conversation.key)?.focus();
  }

  /** The window has the focus again: mark the conversation with the cursor as read. */
  #attend() {
    for (const [key, box] of this.#boxes) if (box.element.contains(document.activeElement)) this.store.read(key);
  }

  #unread() {
    const { unread, conversations } = this.store;
    document.title = unread ? `(${unread}) webchat` : "webchat";
    const everyone = conversations.get(keyOf(EVERYONE));
    byId("everyone").hidden = !everyone || everyone.open;
    byId("everyone").textContent = everyone?.unread ? `${titleOf(EVERYONE)} (${everyone.unread})` : titleOf(EVERYONE);
    this.nudge.refresh();
  }
}
