// The command line that makes the picture that is seen.

import { copying, make } from "./elements.js";

export class Command {
  constructor(words) {
    this.words = words;
    this.code = make("code");
    this.copy = copying(make("button", { type: "button" }, "Copy"), () => this.code.textContent);
    this.element = make("details", { class: "command" }, make("summary", {}, "As a command"), this.code, this.copy);
  }

  /** Shows the line for the keys that the view reads; no other command knows an image of one's `own`. */
  update(keys, own = false) {
    this.copy.disabled = own;
    if (own) {
      this.code.textContent = "An image of your own is known to this page alone: take it into the data for a command.";
      return;
    }
    // What a form encodes has no quote in it.
    this.code.textContent = `${this.words} --at '${new URLSearchParams(keys)}' --figure picture.png`;
  }
}
