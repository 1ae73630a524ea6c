// The controls of one set: a slider, a number and a reset for each; those of less weight, and those
// that do nothing, are folded away until they are asked for.

import { make, number } from "./elements.js";

const REACH = 2.25; // Standard deviations to each side, as the published traversals have them.
const STEP = 0.05;
const FURTHEST = 1000; // What can be typed.
const OPEN = 16; // Controls that are seen at once.

export class Sliders {
  /** `onmove(number, value)` is called at every step, `onsettle()` at the end of a movement. */
  constructor(set, onmove, onsettle) {
    this.onmove = onmove;
    this.onsettle = onsettle;
    this.values = [];
    this.rows = new Map();
    const alive = set.controls.filter(({ dead }) => !dead);
    const dead = set.controls.filter(({ dead }) => dead);
    this.element = make("div", { class: "sliders" }, ...alive.slice(0, OPEN).map((one) => this.row(one)));
    this.fold(alive.slice(OPEN), (n) => `${n} more, of less weight`);
    this.fold(dead, (n) => `${n} that do nothing`);
  }

  fold(controls, title) {
    if (!controls.length) return;
    const details = make("details", {}, make("summary", {}, title(controls.length)));
    // Hundreds of rows are made when somebody looks.
    details.addEventListener(
      "toggle",
      () => details.append(...controls.map((one) => this.row(one))),
      { once: true },
    );
    this.element.append(details);
  }

  row(control) {
    const id = `control-${control.number}`;
    const unit = "standard deviations";
    const range = make("input", {
      type: "range", id, min: -REACH, max: REACH, step: STEP,
      "aria-describedby": `${id}-note`,
      oninput: () => this.move(control.number, Number(range.value)),
      onchange: () => this.onsettle(),
    });
    const typed = make("input", {
      type: "number", step: STEP, min: -FURTHEST, max: FURTHEST,
      "aria-label": `${control.name}, ${unit}`,
      onchange: () => {
        const value = Number(typed.value);
        if (typed.value !== "" && Math.abs(value) <= FURTHEST) this.move(control.number, value);
        else typed.value = (this.values[control.number] ?? 0).toFixed(2);
        this.onsettle();
      },
    });
    const reset = make("button", {
      type: "button", class: "quiet", title: "Back to where it was",
      "aria-label": `Take ${control.name} back`,
      onclick: () => {
        this.move(control.number, null);
        this.onsettle();
        range.focus(); // This button goes.
      },
    }, "\u21ba");
    const label = make("label", { for: id }, control.name);
    const note = make("span", { class: "note", id: `${id}-note`, title: control.note }, control.note);
    const row = make("div", { class: "slider" }, label, note, range, typed, reset);
    this.rows.set(control.number, { range, typed, reset });
    this.set(control.number, this.values[control.number] ?? 0);
    this.mark(control.number);
    return row;
  }

  move(control, value) {
    if (value !== null) this.set(control, value);
    this.onmove(control, value);
  }

  /** Shows what all controls read, and which of them were moved. */
  show(values, moved) {
    this.values = values;
    this.moved = moved;
    for (const control of this.rows.keys()) {
      this.set(control, values[control]);
      this.mark(control);
    }
  }

  set(control, value) {
    const { range, typed } = this.rows.get(control);
    range.value = value;
    range.setAttribute("aria-valuetext", `${number(value)} standard deviations`);
    if (document.activeElement !== typed) typed.value = value.toFixed(2);
  }

  mark(control) {
    const { reset } = this.rows.get(control);
    reset.hidden = !this.moved?.has(control);
  }
}
