// Pictures side by side, which change in place: the next one is there before the last one goes.

import { make, release } from "./elements.js";

export class Figures {
  constructor(label) {
    this.element = make("div", { class: "figures", role: "group", "aria-label": label });
    this.shown = new Map();
  }

  /** Shows pictures {key, caption, note, warn, blob, width, height}, in that order. */
  show(pictures) {
    const keys = new Set(pictures.map(({ key }) => key));
    for (const [key, { figure, image, passed }] of this.shown) {
      if (keys.has(key)) continue;
      for (const address of [...passed, image.src]) release(address);
      figure.remove();
      this.shown.delete(key);
    }
    pictures.forEach((picture, place) => {
      const one = this.shown.get(picture.key) ?? this.begin(picture);
      if (this.element.children[place] !== one.figure) {
        this.element.insertBefore(one.figure, this.element.children[place] ?? null);
      }
      one.title.textContent = picture.caption;
      one.note.textContent = picture.note;
      one.note.classList.toggle("warn", picture.warn === true);
      if (one.blob !== picture.blob) {
        if (one.blob !== null) one.passed.push(one.image.src);
        one.image.src = URL.createObjectURL(picture.blob);
        one.blob = picture.blob;
      }
      one.image.alt = `${picture.caption}. ${picture.note}`;
    });
  }

  begin({ key, width, height }) {
    const title = make("b");
    const note = make("span");
    const image = make("img", { width, height, alt: "" });
    const figure = make("figure", { "data-key": key }, make("figcaption", {}, title, note), image);
    const one = { figure, title, note, image, blob: null, passed: [] };
    // Those before it are not read any more.
    image.addEventListener("load", () => one.passed.splice(0).forEach((old) => URL.revokeObjectURL(old)));
    this.shown.set(key, one);
    return one;
  }
}
