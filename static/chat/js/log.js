/** Shows the transcript of a conversation: days, groups of messages, and notes; the newest is at the bottom. */

import { el, icon } from "./dom.js";
import { hue, initial } from "./presence.js";
import { clock, continues, day, fullTime, linkify, noteText, startsDay } from "./transcript.js";

/** A reader within this distance of the end (px) keeps following new messages. */
const NEAR = 40;

/** Shown while a conversation has no messages. */
const EMPTY = {
  everyone: "Whatever you say here reaches everybody who is connected.",
  person: "Only the two of you see this. It is kept in your browsers, not on the server.",
  room: "Only members of this group see this. Whoever comes later sees the latest messages.",
};

export class Log {
  #entries;
  #isMe;
  #last = null;
  #group = null;
  #pinned = true;
  #size = "";

  constructor({ title, target, entries }, isMe, onEarlier) {
    this.#entries = entries;
    this.#isMe = isMe;
    this.list = el("div", { class: "entries" });
    this.earlier = el("button", { type: "button", class: "earlier", onclick: onEarlier }, "Earlier messages");
    this.earlier.hidden = true;
    this.scroller = el(
      "div", {
        role: "log", class: "log", tabindex: "0", "aria-label": `Messages, ${title}`,
        onscroll: () => this.#scrolled(),
      },
      this.earlier, this.list, el("p", { class: "empty", "aria-live": "off" }, EMPTY[target.kind]),
    );
    this.newer = el(
      "button", { type: "button", class: "newer", onclick: () => this.toEnd() }, icon("down"), "New messages",
    );
    this.newer.hidden = true;
    this.element = el("div", { class: "transcript" }, this.scroller, this.newer);
    // Boxes change their height when others open and close: a reader at the end stays at the end.
    this.observer = new ResizeObserver(() => this.#resized());
    this.observer.observe(this.scroller);
    this.observer.observe(this.list);
    this.refresh();
  }

  /** Show all entries again, with the same ones in view as before. */
  refresh() {
    const fromEnd = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.scroller.setAttribute("aria-busy", "true");
    this.list.replaceChildren();
    this.#last = this.#group = null;
    this.#entries.forEach((entry, index) => this.#append(entry, this.#entries[index - 1]));
    this.scroller.removeAttribute("aria-busy");
    this.scroller.scrollTop = this.scroller.scrollHeight - fromEnd;
    if (this.#pinned) this.toEnd();
  }

  /** Show an entry that was inserted at this index. */
  add(entry, index) {
    if (index < this.#entries.length - 1) return this.refresh();
    this.#append(entry, this.#entries[index - 1]);
    // The observer scrolls once for all entries of one frame.
    this.#pinned ||= Boolean(entry.from) && this.#isMe(entry.from);
    this.newer.hidden = this.#pinned;
  }

  /** Update the last note, which has changed or is gone. */
  renote() {
    const last = this.#entries.at(-1);
    if (this.#last?.entry.joined && !this.#entries.includes(this.#last.entry)) {
      for (const element of this.#last.elements) element.remove();
      this.#last = null;
    }
    if (last?.joined && this.#last?.entry !== last) this.#append(last, this.#entries.at(-2));
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#pinned = true;
    this.newer.hidden = true;
  }

  #resized() {
    if (this.#pinned) this.toEnd();
    this.#size = this.#measure();
  }

  #measure() {
    return `${this.scroller.scrollHeight} ${this.scroller.clientHeight}`;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR;
    // A change of size also scrolls, before the observer runs. Only scrolling by the reader stops following the end.
    if (near || this.#size === this.#measure()) this.#pinned = near;
    if (near) this.newer.hidden = true;
  }

  #append(entry, previous) {
    const marks = startsDay(previous, entry) ? [dayMark(entry.time)] : [];
    this.list.append(...marks);
    const element = entry.id === undefined ? note(entry) : text(entry);
    if (entry.id === undefined) this.#group = null;
    else if (!this.#group || !continues(previous, entry)) this.#group = this.#startGroup(entry);
    (this.#group ?? this.list).append(element);
    this.#last = { entry, elements: [...marks, element] };
  }

  #startGroup({ from, time }) {
    const mine = this.#isMe(from);
    const group = el(
      "div", { class: mine ? "group mine" : "group" },
      el("span", { class: "avatar", "aria-hidden": "true" }, initial(from)),
      el(
        "p", { class: "by" },
        el("bdi", { class: "who" }, from), " ",
        el("time", { datetime: new Date(time).toISOString(), title: fullTime(time) }, clock(time)),
      ),
    );
    group.style.setProperty("--hue", hue(from));
    this.list.append(group);
    return group;
  }
}

const dayMark = (time) => el("p", { class: "day", "aria-live": "off" }, el("span", {}, day(time)));
const note = (entry) => el("p", { class: "note", "aria-live": "off", dir: "auto" }, noteText(entry));

function text({ text: said, time }) {
  const paragraph = el("p", { class: "text", dir: "auto", title: fullTime(time) });
  for (const { text: words, href } of linkify(said)) {
    paragraph.append(href ? el("a", { href, target: "_blank", rel: "noopener noreferrer" }, words) : words);
  }
  return paragraph;
}
