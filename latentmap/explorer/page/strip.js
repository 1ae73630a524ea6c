// A strip: rows of small pictures, one for each step of a line, in every model.

import { make, release } from "./elements.js";

export class Strip {
  /** `ongo(step)` is called with the step that is clicked; the slider of the player does the same. */
  constructor(ongo) {
    this.ongo = ongo;
    this.cells = [];
    this.element = make("div", { class: "strip", role: "group", "aria-label": "All steps", tabindex: 0 });
  }

  /** Shows rows {caption, guesses, pictures}, of pictures {blob, width, height}. */
  show(rows) {
    for (const { image } of this.cells) release(image.src);
    this.cells = [];
    this.element.replaceChildren(...rows.map(({ caption, guesses, pictures }) => make("div", { class: "strip-row" },
      make("span", { class: "note" }, caption),
      make("div", { class: "strip-images" }, ...pictures.map((picture, step) => this.cell(caption, picture, step, guesses[step]))),
    )));
  }

  cell(caption, { blob, width, height }, step, guess) {
    const image = make("img", {
      src: URL.createObjectURL(blob), width, height, class: guess === true ? "guess" : null,
      alt: `${caption}, step ${step + 1}${guess === true ? ", a guess" : ""}`,
      onclick: () => this.ongo(step),
    });
    this.cells.push({ image, step });
    return image;
  }

  /** Marks the step that is shown large. */
  mark(shown) {
    for (const { image, step } of this.cells) image.classList.toggle("shown", step === shown);
  }

  close() {
    for (const { image } of this.cells) release(image.src);
  }
}
