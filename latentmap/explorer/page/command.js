// The command line that makes the picture of the state that is seen.

import { copying, make } from "./elements.js";

export class Command {
  constructor(words, state) {
    this.words = words;
    this.state = state;
    this.code = make("code");
    const copy = copying(make("button", { type: "button" }, "Copy"), () => this.code.textContent);
    this.element = make("details", { class: "command" }, make("summary", {}, "As a command"), this.code, copy);
  }

  update() {
    // What a form encodes has no quote in it.
    this.code.textContent = `${this.words} --at '${this.state.text}' --figure picture.png`;
  }
}
