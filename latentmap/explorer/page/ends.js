// An end of a line: where it is, and what it can be.

import { make, release } from "./elements.js";
import { Picker } from "./picker.js";
import { placeInWords, placeOf, randomSeed } from "./places.js";

export class End {
  /** The end `key` of the state, a place that is written as a state of its own. */
  constructor(key, state) {
    this.key = key;
    this.where = make("p", { class: "note" });
    const name = key.toUpperCase();
    this.image = make("img", { alt: `The image of ${name}`, hidden: true });
    const take = (place) => state.change({ [key]: new URLSearchParams(place).toString(), step: null });
    const button = (text, onclick) => make("button", { type: "button", "aria-label": `${name}: ${text}`, onclick }, text);
    this.picker = new Picker((image) => take({ start: "image", image }), `${name} from an image of the data`, `${name}:`);
    this.element = make("fieldset", {}, make("legend", {}, name), make("div", { class: "end" }, this.image, this.where),
      make("div", { class: "row" },
        button("The moved code", () => take(placeOf(state))),
        button("Mean", () => take({ start: "mean" })),
        button("Random", () => take({ start: "random", seed: randomSeed() })),
      ), this.picker.element);
  }

  /** Shows the place, and the picture of its image where it has one. */
  show(place, blob) {
    this.where.textContent = placeInWords(place);
    release(this.image.src);
    this.image.hidden = !blob;
    if (blob) this.image.src = URL.createObjectURL(blob);
    else this.image.removeAttribute("src");
  }

  close() {
    release(this.image.src);
    this.picker.close();
  }
}
