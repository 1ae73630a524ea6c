// Images of the data as pictures to choose from, some of which are marked.

import { make, release } from "./elements.js";

export class Members {
  /** `onpick(id)` is called with the image that is taken. */
  constructor(label, onpick) {
    this.onpick = onpick;
    this.buttons = new Map();
    this.element = make("div", { class: "thumbnails", role: "group", "aria-label": label });
  }

  /** Shows images {id, mark, warn, blob}, of which `mark` says in words why one is marked. */
  show(images) {
    for (const { image } of this.buttons.values()) release(image.src);
    this.buttons = new Map(images.map((one) => [one.id, this.button(one)]));
    this.element.replaceChildren(...[...this.buttons.values()].map(({ button }) => button));
    this.element.hidden = !images.length;
  }

  /** Marks the one that is looked at. */
  choose(id) {
    for (const [name, { button }] of this.buttons) button.setAttribute("aria-pressed", name === id);
  }

  button({ id, mark, warn, blob }) {
    const image = make("img", { src: URL.createObjectURL(blob), alt: "" });
    const words = mark ? `${id}, ${mark}` : id;
    const button = make("button", {
      type: "button", class: warn ? "marked warn" : mark ? "marked" : null, title: words, "aria-label": `Look at ${words}`,
      onclick: () => this.onpick(id),
    }, image);
    return { button, image };
  }
}
