/** Creates elements. Text is added as text: nothing in the page parses a string as HTML. */

/** Create an element with attributes and children. `onclick` etc. add listeners; `false` omits an attribute. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Icons of 20 by 20 units, drawn as outlines. They are decoration: each has a text or a label beside it. */
const PATHS = {
  close: "M5 5l10 10M15 5L5 15",
  send: "M4 10.5L16 4l-4 12.5-3-5z",
  more: "M4 10h.01M10 10h.01M16 10h.01",
  down: "M10 4v12M5 11l5 5 5-5",
  everyone: "M2.5 16c.5-3 2.3-4.5 5-4.5s4.5 1.5 5 4.5M7.5 8.8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5"
    + "M13 4a2.5 2.5 0 0 1 0 4.7M14.5 11.8c1.7.6 2.7 2 3 4.2",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const attributes = { viewBox: "0 0 20 20", class: `icon icon-${name}`, "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Create a message that screen readers read out at once. Create a new one each time: an unchanged one is not read. */
export const alertOf = (text, ...more) => el("p", { role: "alert", class: "alert" }, el("span", {}, text), ...more);
