// The view "A to B": the line between two codes of the source, and its image in every target.

import { ask, Latest } from "./api.js";
import { Command } from "./command.js";
import { make, save } from "./elements.js";
import { End } from "./ends.js";
import { Figures } from "./figures.js";
import { rememberAll } from "./own_files.js";
import { uploadsOf } from "./places.js";
import { Player } from "./player.js";
import { say } from "./status.js";
import { Strip } from "./strip.js";

const ROLES = { source: "the code", mapped: "mapped" };
const STEPS = 9;
const GUESS = ", a guess: far from the fitted codes";

export class LineView {
  constructor(space, state) {
    this.state = state;
    this.rows = [];
    this.asked = null;
    this.latest = new Latest("line", (answer) => this.show(answer), say);
    this.figures = new Figures("Images of the step");
    this.player = new Player(state, (step) => this.go(step));
    this.strip = new Strip((step) => { this.player.pause(); this.player.go(step); this.player.keep(); state.settle(); });
    this.guesses = make("p", { class: "note" }, "Underlined: far from the codes that the map was fitted on, so that it guesses.");
    this.ends = [new End("a", state), new End("b", state)];
    rememberAll(space.own);
    this.command = new Command(space.command);
    this.steps = make("input", {
      type: "number", id: "steps", min: 2, max: 32, step: 1,
      onchange: () => this.count(),
    });
    const button = (text, onclick) => make("button", { type: "button", onclick }, text);
    this.done = make("span", { class: "note", role: "status" });
    const files = make("div", { class: "row" },
      button("Save a picture", () => this.write("png")),
      button("Save a WebP animation", () => this.write("webp")),
      button("Save a GIF", () => this.write("gif")),
      ...(space.report ? [button("Add to the report", () => this.report())] : []),
      this.done,
    );
    const controls = make("section", { class: "controls", "aria-label": "Ends of the line" },
      ...this.ends.map(({ element }) => element),
      make("div", { class: "row" }, button("Swap A and B", () => this.swap()), make("label", { for: "steps" }, "Steps"), this.steps),
    );
    this.element = make("div", { class: "line", onkeydown: (event) => this.press(event) },
      make("section", { class: "pictures", "aria-label": "Pictures" },
        this.figures.element, this.player.element, this.strip.element, this.guesses, files, this.command.element),
      controls);
    this.update();
  }

  /** What decides the pictures, and with `others` the files, as a state. */
  text(others = {}) {
    const { state } = this;
    const known = { view: "line", a: state.get("a"), b: state.get("b"), steps: state.get("steps", STEPS) };
    const said = Object.entries({ ...known, ...others }).filter(([, value]) => value !== "");
    return new URLSearchParams(said).toString();
  }

  update() {
    this.player.update();
    if (document.activeElement !== this.steps) this.steps.value = this.state.get("steps", STEPS);
    const text = this.text();
    this.command.update(text, uploadsOf([this.state.get("a"), this.state.get("b")]));
    if (this.asked === text) return;
    this.asked = text;
    this.latest.ask({ state: text });
  }

  show({ told, files }) {
    const { ends, steps, rows } = told;
    this.told = told;
    const originals = files.slice(rows.length * steps);
    this.ends.forEach((end, i) => end.show(ends[i], told.originals[i] ? originals.shift() : null));
    this.rows = rows.map(({ role, model, outside }, row) => ({
      key: `${role} ${model} ${row}`,
      model,
      role: ROLES[role],
      caption: `${model}, ${ROLES[role]}`,
      guesses: outside,
      pictures: files.slice(row * steps, (row + 1) * steps).map((blob, i) => ({ blob, ...told.files[row * steps + i] })),
    }));
    this.strip.show(this.rows);
    this.guesses.hidden = !rows.some(({ outside }) => outside.includes(true));
    this.player.has(steps);
  }

  go(step) {
    this.figures.show(this.rows.map(({ key, model, role, guesses, pictures }) => ({
      key,
      caption: model,
      note: `${role}${guesses[step] === true ? GUESS : ""}`,
      warn: guesses[step] === true,
      ...pictures[step],
    })));
    this.strip.mark(step);
  }

  count() {
    const steps = Number(this.steps.value);
    const fits = Number.isInteger(steps) && steps >= 2 && steps <= 32;
    if (fits) this.state.change({ steps: steps === STEPS ? null : steps, step: null });
    else this.steps.value = this.state.get("steps", STEPS);
  }

  swap() {
    if (this.told) this.state.change({ a: this.told.ends[1], b: this.told.ends[0] });
  }

  /** The space key plays, wherever it does nothing else. */
  press(event) {
    if (event.key !== " " || event.target.closest("button, input, select, summary, a")) return;
    event.preventDefault();
    this.player.turn();
  }

  async write(kind) {
    await this.finish("Writing\u2026", async () => {
      const answer = await ask("line-file", { state: this.text({ speed: this.player.speed, loop: this.player.loop }), kind });
      save(answer.files[0], `line.${kind}`);
      return `Saved as line.${kind}`;
    });
  }

  async report() {
    await this.finish("Adding\u2026", async () => {
      const answer = await ask("line-to-report", { state: this.text() });
      return answer.told.replaced ? "It was in the report, and is written anew." : "Added to the report.";
    });
  }

  async finish(words, work) {
    this.done.textContent = words;
    try {
      this.done.textContent = await work();
      say("");
    } catch (error) {
      this.done.textContent = "";
      say(error.message);
    }
  }

  close() {
    this.latest.close();
    this.player.close();
    this.strip.close();
    this.figures.show([]);
    this.ends.forEach((end) => end.close());
  }
}
