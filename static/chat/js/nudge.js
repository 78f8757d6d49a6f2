/** A button that leads to an unread conversation outside the view, as on phones, where the boxes form a column. */

export class Nudge {
  #boxes = new Map();
  #wanted = null;

  constructor(button, go) {
    this.button = button;
    button.addEventListener("click", () => this.#wanted && go(this.#wanted));
    this.observer = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) {
        const watched = this.#boxes.get(target);
        if (watched) watched.visible = isIntersecting;
      }
      this.refresh();
    }, { threshold: 0.2 });
  }

  watch({ element, conversation }) {
    this.#boxes.set(element, { conversation, visible: true });
    this.observer.observe(element);
  }

  unwatch({ element }) {
    this.observer.unobserve(element);
    this.#boxes.delete(element);
  }

  refresh() {
    const hidden = [...this.#boxes.values()].find(({ conversation, visible }) => conversation.unread && !visible);
    this.#wanted = hidden?.conversation ?? null;
    this.button.hidden = !hidden;
    if (hidden) this.button.textContent = `${hidden.conversation.unread} new · ${hidden.conversation.title}`;
  }
}
