// Plays a number of steps, one after the other; a slider goes to each of them.

import { make } from "./elements.js";

const SPEEDS = [1, 2, 4, 8, 16]; // Steps in a second, as latentmap/explorer/lines.py has them.
const LOOPS = { back: "there and back", round: "again and again", once: "once" };

export class Player {
  /** `onstep(step)` shows a step; the state has `step`, `speed` and `loop`. */
  constructor(state, onstep) {
    this.state = state;
    this.onstep = onstep;
    this.steps = 1;
    this.step = 0;
    this.by = 1;
    this.timer = null;
    // Who asked for less motion gets no more of it than asked for.
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.button = make("button", { type: "button", "aria-pressed": false, onclick: () => this.turn() }, "Play");
    this.range = make("input", {
      type: "range", min: 0, max: 0, step: 1, "aria-label": "Step",
      oninput: () => { this.pause(); this.go(Number(this.range.value)); this.keep(); },
      onchange: () => state.settle(),
    });
    this.where = make("span", { class: "note" });
    this.speeds = this.choice("Steps in a second", "speed", SPEEDS.map((speed) => [speed, `${speed} a second`]));
    this.loops = this.choice("Played", "loop", Object.entries(LOOPS));
    this.element = make("div", { class: "row player", role: "group", "aria-label": "Player" },
      this.button, this.range, this.where, this.speeds, this.loops);
  }

  choice(label, key, options) {
    const select = make("select", {
      "aria-label": label,
      onchange: () => this.state.change({ [key]: select.value }),
    }, ...options.map(([value, words]) => make("option", { value }, words)));
    return select;
  }

  get speed() {
    return this.state.get("speed", this.still ? "2" : "8");
  }

  get loop() {
    return this.state.get("loop", this.still ? "once" : "back");
  }

  /** Has so many steps from now on. */
  has(steps) {
    this.steps = steps;
    this.range.max = steps - 1;
    this.go(Math.min(this.timer === null ? Number(this.state.get("step", "0")) || 0 : this.step, steps - 1));
  }

  /** Follows the state, unless it plays. */
  update() {
    this.speeds.value = this.speed;
    this.loops.value = this.loop;
    if (this.timer === null && this.steps > 1) this.has(this.steps);
  }

  go(step) {
    this.step = Math.trunc(Math.max(0, Math.min(step, this.steps - 1))); // A link can say 2.5.
    this.range.value = this.step;
    this.range.setAttribute("aria-valuetext", `step ${this.step + 1} of ${this.steps}`);
    this.where.textContent = `${this.step + 1} of ${this.steps}`;
    this.onstep(this.step);
  }

  turn() {
    if (this.timer === null) this.play();
    else this.pause();
  }

  play() {
    if (this.step === this.steps - 1 && this.loop === "once") this.go(0);
    this.show(true);
    this.wait();
  }

  pause() {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.show(false);
    this.keep();
    this.state.settle();
  }

  show(plays) {
    this.button.textContent = plays ? "Pause" : "Play";
    this.button.setAttribute("aria-pressed", plays);
  }

  wait() {
    this.timer = setTimeout(() => this.next(), 1000 / Number(this.speed));
  }

  next() {
    const last = this.steps - 1;
    if (this.loop === "once" && this.step === last) {
      this.pause();
      return;
    }
    if (this.loop === "back") {
      if (this.step + this.by > last || this.step + this.by < 0) this.by = -this.by;
      this.go(this.step + this.by);
    } else {
      this.go(this.step === last ? 0 : this.step + 1);
    }
    this.wait();
  }

  keep() {
    this.state.change({ step: this.step || null }, "step");
  }

  close() {
    clearTimeout(this.timer);
  }
}
