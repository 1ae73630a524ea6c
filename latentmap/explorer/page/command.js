// The command line that makes the picture that is seen.

import { copying, make } from "./elements.js";
import { areNamed, wordsOf } from "./own_files.js";

export class Command {
  /** `words` are empty where no command explores the same, as in a notebook. */
  constructor(words) {
    this.words = words;
    this.code = make("code");
    this.note = make("p", { class: "note", hidden: true }, "FILE is the file of your own image, whose name this page does not know.");
    const copy = copying(make("button", { type: "button" }, "Copy"), () => this.code.textContent);
    this.element = make("details", { class: "command" }, make("summary", {}, "As a command"), this.code, copy, this.note);
    this.show(true);
  }

  show(wanted) {
    this.element.hidden = !wanted || this.words === "";
  }

  /** Shows the line for the keys that the view reads, and the ids of images of one's `own` in them. */
  update(keys, own = []) {
    // What a form encodes has no quote in it.
    this.code.textContent = `${this.words}${wordsOf(own)} --at '${new URLSearchParams(keys)}' --figure picture.png`;
    this.note.hidden = areNamed(own);
  }
}
