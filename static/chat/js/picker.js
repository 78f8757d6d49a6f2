/** A native `<select>` as a menu: choosing an option performs an action, and then shows the prompt again. */

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

  /** Open the list with the arrow keys: on some systems they would choose the first option while it is closed. */
  #key(event) {
    if (!OPENS.has(event.key) || event.altKey || !this.select.showPicker || isOpen(this.select)) return;
    event.preventDefault();
    this.select.showPicker();
  }

  /** Offer these values in this order. Options that stay are not replaced, so that an open list does not jump. */
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
