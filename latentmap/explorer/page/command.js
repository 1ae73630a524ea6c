// The command line that makes the picture of the state that is seen.

import { copying, make } from "./elements.js";

export class Command {
  constructor(words, state) {
    this.words = words;
    this.state = state;
    this.code = make("code");
    this.copy = copying(make("button", { type: "button" }, "Copy"), () => this.code.textContent);
    this.element = make("details", { class: "command" }, make("summary", {}, "As a command"), this.code, this.copy);
  }

  /** Shows the line; no other command knows an image of one's `own`. */
  update(own = false) {
    this.copy.disabled = own;
    if (own) {
      this.code.textContent = "An image of your own is known to this page alone: take it into the data for a command.";
      return;
    }
    // What a form encodes has no quote in it.
    this.code.textContent = `${this.words} --at '${this.state.text}' --figure picture.png`;
  }
}
