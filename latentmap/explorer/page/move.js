// The view "Move a code": sliders for a code of the source, and its images, live.

import { insist, Latest } from "./api.js";
import { Command } from "./command.js";
import { make } from "./elements.js";
import { Figures } from "./figures.js";
import { rememberAll } from "./own_files.js";
import { Picker } from "./picker.js";
import { moved, placeOf, randomSeed, readMoves, startInWords, uploadsOf, writeMoves } from "./places.js";
import { Sliders } from "./sliders.js";
import { say } from "./status.js";

const ROLES = { source: "the code", mapped: "mapped", own: "its own code" };

export class MoveView {
  constructor(space, state) {
    this.space = space;
    this.state = state;
    this.original = null; // {id, blob, file} of the image that is started from.
    this.answer = null;
    this.closed = false;
    this.latest = new Latest("move", (answer, asked) => this.show(answer, asked), say);
    this.figures = new Figures("Images of the code");
    this.where = make("p", { class: "note" });
    rememberAll(space.own);
    this.command = new Command(space.command);
    this.picker = new Picker((id) => state.change({ start: "image", image: id, seed: null, moves: null }));
    this.by = make("select", {
      id: "by",
      onchange: () => state.change({ by: this.by.value === space.controls[0].name ? null : this.by.value }),
    }, ...space.controls.map(({ name, title }) => make("option", { value: name }, title)));
    const button = (text, onclick) => make("button", { type: "button", onclick }, text);
    const starts = make("div", { class: "row" },
      button("Reset", () => state.change({ moves: null })),
      button("Mean", () => state.change({ start: null, image: null, seed: null, moves: null })),
      button("Random", () => this.draw()),
    );
    this.controls = make("section", { class: "controls", "aria-label": "Controls" },
      make("div", { class: "row" }, make("label", { for: "by" }, "Move by"), this.by), starts, this.where, this.picker.element);
    this.element = make("div", { class: "move" },
      make("section", { class: "pictures", "aria-label": "Pictures" }, this.figures.element, this.command.element),
      this.controls);
    this.sliders = null;
    this.update();
  }

  draw() {
    this.state.change({ start: "random", seed: randomSeed(), image: null, moves: null });
  }

  get name() {
    return this.state.get("by", this.space.controls[0].name);
  }

  /** Follows the state: asks for its pictures, and has the sliders of its set. */
  update() {
    const set = this.space.controls.find(({ name }) => name === this.name) ?? this.space.controls[0];
    if (this.set !== set) {
      this.set = set;
      this.by.value = set.name;
      this.sliders?.element.remove();
      this.sliders = new Sliders(set, (control, value) => this.move(control, value), () => this.state.settle());
      this.controls.append(this.sliders.element);
    }
    this.where.textContent = `From ${startInWords(this.state)}, in standard deviations. ${set.note}`.trim();
    this.command.update(placeOf(this.state), uploadsOf([this.state.text]));
    this.latest.ask({ state: this.state.text, by: set.name });
    this.follow();
  }

  move(control, value) {
    const moves = moved(readMoves(this.state.get("moves")), this.set.name, control, value);
    this.state.change({ moves: writeMoves(moves) }, `${this.set.name}-${control}`);
  }

  /** Fetches the image that is started from, once. */
  async follow() {
    const start = this.state.get("start");
    const id = start === "image" || start === "upload" ? this.state.get(start) : null;
    if (id === (this.original?.id ?? null)) return;
    const mine = id === null ? null : { id, blob: null };
    this.original = mine;
    if (mine !== null) {
      const question = start === "image" ? ["show", { ids: [id] }] : ["uploaded", { upload: id }];
      try {
        // The question for the pictures of the code says what is wrong.
        const found = await insist(...question, () => !this.closed && this.original === mine, () => {});
        if (found === null || !found.files.length) return;
        this.original = { id, blob: found.files[0], file: found.told.files[0] };
      } catch {
        if (this.original === mine) this.original = null; // It may be there with the next change.
        return;
      }
    }
    if (this.answer !== null) this.draw_figures();
  }

  show(answer, asked) {
    this.answer = answer;
    this.draw_figures();
    // While a slider moves on, it is ahead of the answer.
    if (asked.by !== this.set.name || asked.state !== this.state.text) return;
    const last = readMoves(this.state.get("moves")).at(-1);
    this.sliders.show(answer.told.values, last?.by === this.set.name ? last.values : new Map());
  }

  draw_figures() {
    const { told, files } = this.answer;
    const pictures = told.pictures.map(({ role, model, mse, outside, fitted }, i) => ({
      key: `${role} ${model} ${i}`,
      caption: model,
      note: [
        ROLES[role],
        mse === null ? "" : `, mse ${mse.toPrecision(3)} to its own`,
        fitted ? ", of an image that the map was fitted on" : "",
        outside ? ", a guess: far from the fitted codes" : "",
      ].join(""),
      warn: outside === true,
      blob: files[i],
      ...told.files[i],
    }));
    if (this.original?.blob) {
      const { id, blob, file } = this.original;
      const note = this.state.get("start") === "upload" ? "your own" : id;
      pictures.unshift({ key: "original", caption: "image", note, blob, ...file });
    }
    this.figures.show(pictures);
  }

  close() {
    this.closed = true;
    this.latest.close();
    this.figures.show([]);
    this.picker.close();
  }
}
