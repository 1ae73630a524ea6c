// The images of the data, a few at a time, to start from one of them.

import { ask } from "./api.js";
import { enable, make, release } from "./elements.js";
import { say } from "./status.js";

const COUNT = 12;

export class Picker {
  /** `onpick(id)` is called with the image that is taken; `verb` says what is done with it. */
  constructor(onpick, title = "From an image of the data", verb = "Start from") {
    this.verb = verb;
    this.onpick = onpick;
    this.start = 0;
    this.asked = 0;
    this.grid = make("div", { class: "thumbnails" });
    this.count = make("span", { class: "note" });
    this.like = make("input", {
      type: "search", placeholder: "part of a name", "aria-label": "Images whose name has",
      oninput: () => { this.start = 0; this.load(); },
    });
    this.back = make("button", { type: "button", onclick: () => this.turn(-COUNT) }, "Previous");
    this.on = make("button", { type: "button", onclick: () => this.turn(COUNT) }, "Next");
    const tools = make("div", { class: "row" }, this.like, this.back, this.on, this.count);
    this.element = make("details", { class: "picker" }, make("summary", {}, title), tools, this.grid);
    this.element.addEventListener("toggle", () => { if (this.element.open) this.load(); });
  }

  turn(by) {
    this.start = Math.max(0, this.start + by);
    this.load();
  }

  async load() {
    this.asked += 1;
    const mine = this.asked;
    try {
      const listed = await ask("images", { like: this.like.value, start: this.start, count: COUNT });
      if (mine !== this.asked) return;
      const { ids, n } = listed.told;
      const shown = ids.length ? await ask("show", { ids }) : { told: { ids: [] }, files: [] };
      if (mine !== this.asked) return;
      this.release();
      this.grid.replaceChildren(...shown.told.ids.map((id, i) => this.thumbnail(id, shown.files[i])));
      this.count.textContent = n ? `${this.start + 1} to ${this.start + ids.length} of ${n.toLocaleString("en")}` : "none";
      enable(this.back, this.on, [this.start > 0, this.start + COUNT < n]);
    } catch (error) {
      if (mine === this.asked) say(error.message);
    }
  }

  release() {
    for (const { src } of this.grid.querySelectorAll("img")) release(src);
  }

  close() {
    this.asked += 1; // What is on its way is not shown any more.
    this.release();
  }

  thumbnail(id, blob) {
    const image = make("img", { src: URL.createObjectURL(blob), alt: "" });
    return make("button", { type: "button", title: id, "aria-label": `${this.verb} ${id}`, onclick: () => this.onpick(id) }, image);
  }
}
