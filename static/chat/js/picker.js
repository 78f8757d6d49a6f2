/** A native `<select>` that acts at once: choosing an option does something, and the prompt stands there again. */

import { el } from "./dom.js";

const OPENS = new Set(["ArrowDown", "ArrowUp"]);
const isOpen = (select) => CSS.supports("selector(:open)") && select.matches(":open");

export class Picker {
  #options = new Map();

  constructor(select, onpick) {
    this.select = select;
    this.prompt = select.options[0];
    select.addEventListener("change", () => {
      const { value } = select;
      select.value = "";
      if (value) onpick(value);
    });
    select.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Some systems choose with each arrow key while the list is closed, so that all but the first were out of reach. */
  #key(event) {
    if (!OPENS.has(event.key) || event.altKey || !this.select.showPicker || isOpen(this.select)) return;
    event.preventDefault();
    this.select.showPicker();
  }

  /** Offer these values, in this order. What stays is left untouched, so that an open list does not jump. */
  offer(values, label = (value) => value) {
    const wanted = new Set(values);
    for (const [value, option] of this.#options) {
      if (wanted.has(value)) continue;
      option.remove();
      this.#options.delete(value);
    }
    let place = this.prompt;
    for (const value of values) {
      const option = this.#options.get(value) ?? el("option", { value }, label(value));
      this.#options.set(value, option);
      if (place.nextSibling !== option) place.after(option);
      place = option;
    }
  }
}
