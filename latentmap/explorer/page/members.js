// Images of the data as pictures to choose from, some of which are marked.

import { make, release, replace } from "./elements.js";

export class Members {
  /** `onpick(id)` is called with the image that is taken. */
  constructor(label, onpick) {
    this.onpick = onpick;
    this.buttons = new Map();
    this.element = make("div", { class: "thumbnails", role: "group", "aria-label": label });
  }

  /** Shows images {id, marked, warn, words, blob}; `words` say why one has a mark or a warning. */
  show(images) {
    for (const { image } of this.buttons.values()) release(image.src);
    this.buttons = new Map(images.map((one) => [one.id, this.button(one)]));
    replace(this.element, ...[...this.buttons.values()].map(({ button }) => button));
    this.element.hidden = !images.length;
  }

  /** Marks the one that is looked at. */
  choose(id) {
    for (const [name, { button }] of this.buttons) button.setAttribute("aria-pressed", name === id);
  }

  button({ id, marked, warn, words, blob }) {
    const image = make("img", { src: URL.createObjectURL(blob), alt: "" });
    const said = [id, ...words].join(", ");
    const kinds = [marked ? "marked" : "", warn ? "warn" : ""].join(" ").trim();
    const button = make("button", {
      type: "button", class: kinds || null, title: said, "aria-label": `Look at ${said}`, "data-id": id,
      onclick: () => this.onpick(id),
    }, image);
    return { button, image };
  }
}
