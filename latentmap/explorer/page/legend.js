// What the colours of points mean: the groups, with how many there are, or the scale of numbers.

import { inDigits } from "./colouring.js";
import { make } from "./elements.js";

const SHOWN = 20; // Groups.

export class Legend {
  constructor() {
    this.element = make("div", { class: "key", role: "group", "aria-label": "Colours" });
  }

  /** Shows a colouring in its `colours`. */
  show(title, colouring, colours) {
    const head = make("b", {}, title);
    const parts = colouring.groups ? this.groups(colouring, colours) : this.scale(colouring, colours);
    const { unknown } = colouring;
    if (colouring.note) parts.push(make("p", { class: "note" }, colouring.note));
    if (unknown) parts.push(make("p", { class: "note" }, `not known of ${unknown.toLocaleString("en")} points`));
    this.element.replaceChildren(head, ...parts);
  }

  groups({ groups, counts }, colours) {
    const rows = groups.map(({ name }, i) => ({ name, n: counts[i], colour: colours[i % colours.length] })).filter(({ n }) => n);
    const list = make("ul", {}, ...rows.slice(0, SHOWN).map(({ name, n, colour }) => {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = colour;
      return make("li", {}, swatch, make("span", {}, name || "(none)"), make("span", { class: "note" }, n.toLocaleString("en")));
    }));
    const more = rows.length - SHOWN;
    return more > 0 ? [list, make("p", { class: "note" }, `and ${more.toLocaleString("en")} more, in the same colours again`)] : [list];
  }

  scale({ ends }, colours) {
    if (ends === null) return [];
    const [low, high] = ends.map((end) => inDigits(end, 3));
    const bar = make("canvas", { width: colours.length, height: 1, role: "img", "aria-label": `from ${low} to ${high}` });
    const pen = bar.getContext("2d");
    colours.forEach((colour, i) => {
      pen.fillStyle = colour;
      pen.fillRect(i, 0, 1, 1);
    });
    const words = make("div", { class: "ends" }, make("span", {}, `\u2264 ${low}`), make("span", {}, `\u2265 ${high}`));
    return [bar, words];
  }
}
