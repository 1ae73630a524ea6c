// The view "Traces": a recorded training, gone through by its epochs.

import { Latest } from "./api.js";
import { Chart } from "./chart.js";
import { Command } from "./command.js";
import { Discs } from "./discs.js";
import { make } from "./elements.js";
import { say } from "./status.js";

const PACE = 150; // Milliseconds an epoch, when it plays.
const MOST_ROWS = 256;

function figure(value) {
  if (typeof value === "string" || Number.isInteger(value)) return value.toLocaleString("en");
  return Number(value.toPrecision(4)).toString();
}

export class TracesView {
  constructor(space, state) {
    this.trainings = space.trainings;
    this.state = state;
    this.moments = new Latest("moment", (answer, asked) => this.show(answer.told, asked), say);
    this.curves = new Latest("curves", (answer, asked) => this.draw(answer.told, asked), say);
    this.chart = new Chart();
    this.discs = new Discs();
    this.which = this.choice("training", this.trainings.map(({ name }, i) => [i, name]), (value) => (
      { trace: value === "0" ? null : value, epoch: null }));
    this.drawn = this.choice("drawn", [], (value) => ({ drawn: value }));
    this.slider = make("input", {
      type: "range", id: "epoch", min: 0, step: 1,
      oninput: () => state.change({ epoch: this.slider.value }, "epoch"),
      onchange: () => state.settle(),
    });
    this.play = make("button", { type: "button", onclick: () => this.turn() }, "Play");
    this.where = make("p", { class: "note", id: "where" });
    this.batch = make("dl", { class: "figures-of" });
    this.lines = make("p", { class: "note" }, "A line a variable, in another colour those that end inactive.");
    this.rows = make("tbody");
    this.legend = make("p", { class: "legend" });
    this.caption = make("figcaption");
    this.plane = make("figure", { class: "plane" }, this.caption, this.discs.element, this.legend);
    this.command = new Command(space.commands.traces ?? space.command);
    this.element = make("div", { class: "traces" },
      make("section", { "aria-label": "Training" },
        make("div", { class: "row" },
          make("label", { for: "training" }, "Training"), this.which),
        make("div", { class: "row epoch" }, make("label", { for: "epoch" }, "Epoch"), this.slider, this.play),
        this.where, this.batch,
        make("div", { class: "row" }, make("label", { for: "drawn" }, "Draw"), this.drawn), this.chart.element,
        this.lines, this.command.element),
      make("section", { "aria-label": "At this epoch" }, this.plane, this.table()));
    this.update();
  }

  choice(id, options, changes) {
    const select = make("select", { id, onchange: () => this.state.change(changes(select.value)) });
    select.append(...options.map(([value, text]) => make("option", { value }, text)));
    return select;
  }

  table() {
    const heads = ["variable", "gain", "KL", "Var mean", "mean s2", "gate"];
    this.heads = heads.map((text) => make("th", { scope: "col" }, text));
    const head = make("thead", {}, make("tr", {}, ...this.heads));
    return make("div", { class: "rows", tabindex: 0, role: "region", "aria-label": "Variables" },
      make("table", {}, head, this.rows));
  }

  get number() {
    const found = Number(this.state.get("trace", "0"));
    return this.trainings[found] ? found : 0;
  }

  get epoch() {
    const last = this.training.epochs.length - 1;
    const found = Number(this.state.get("epoch", last));
    return Number.isInteger(found) && found >= 0 && found <= last ? found : last;
  }

  /** Follows the state: asks for its epoch, and for its curves where these are others. */
  update() {
    this.training = this.trainings[this.number];
    const { epochs, drawn } = this.training;
    const name = Object.hasOwn(drawn, this.state.get("drawn")) ? this.state.get("drawn") : "gain";
    const key = `${this.number} ${name}`;
    if (this.key !== key) {
      this.key = key;
      this.which.value = this.number;
      this.drawn.replaceChildren(...Object.entries(drawn).map(([value, text]) => make("option", { value }, text)));
      this.drawn.value = name;
      this.slider.max = epochs.length - 1;
      this.curves.ask({ trace: this.number, drawn: name });
    }
    this.slider.value = this.epoch;
    this.slider.setAttribute("aria-valuetext", `epoch ${this.epoch} of ${epochs.length - 1}`);
    this.moments.ask({ trace: this.number, epoch: this.epoch });
    this.command.update({ view: "traces", trace: this.number, epoch: this.epoch, drawn: name });
  }

  draw(told, asked) {
    if (`${asked.trace} ${asked.drawn}` !== this.key) return;
    this.lines.hidden = !told.variables.length;
    this.chart.show(told, this.training.epochs.at(-1));
    this.chart.stand(this.training.epochs[this.epoch]);
  }

  show(told, asked) {
    if (asked.trace !== this.number) return;
    const last = this.training.epochs.length - 1;
    const active = told.active.filter(Boolean).length;
    this.where.textContent =
      `Epoch ${told.epoch} of ${last}, ${told.step.toLocaleString("en")} steps: ` +
      `${active} of ${told.active.length} variables active.`;
    if (this.chart.last) this.chart.stand(told.step);
    const { variable, ...worth } = told.worth;
    const noisy = Object.entries(worth).map(([name, value]) => [`variable ${variable}, ${name}`, value]);
    this.batch.replaceChildren(...[...Object.entries(told.batch), ...noisy].map(([name, value]) => (
      make("div", {}, make("dt", {}, name), make("dd", {}, figure(value))))));
    this.fill(told);
    this.plane.hidden = told.plane === null;
    if (told.plane !== null) this.picture(told.plane);
  }

  fill(told) {
    const parts = [told.gain, told.kl, told.mean_variance, told.posterior_variance];
    if (told.gates) parts.push(told.gates);
    this.heads.at(-1).hidden = !told.gates;
    const order = told.gain.map((_, i) => i).sort((a, b) => told.gain[b] - told.gain[a]);
    this.rows.replaceChildren(...order.slice(0, MOST_ROWS).map((i) => (
      make("tr", { class: told.active[i] ? "" : "dead" },
        make("th", { scope: "row" }, `${i}${told.active[i] ? "" : " (inactive)"}`),
        ...parts.map((part) => make("td", {}, figure(part[i])))))));
  }

  picture(plane) {
    const [first, second] = plane.variables;
    this.caption.textContent = `Codes of ${plane.radii.length} images: variable ${first} to the right, ${second} upwards`;
    this.discs.show(plane);
    this.legend.replaceChildren(...plane.legend.map(({ name, colour }) => {
      const dot = make("span", { "aria-hidden": "true" });
      dot.style.backgroundColor = colour;
      return make("span", {}, dot, ` ${name}`);
    }));
  }

  /** Goes on an epoch at a time, from the first where it stands at the last; or stops. */
  turn() {
    if (this.timer) return this.stop();
    const last = this.training.epochs.length - 1;
    if (this.epoch === last) this.state.change({ epoch: 0 }, "play");
    this.play.textContent = "Stop";
    this.timer = setInterval(() => {
      if (this.epoch === this.training.epochs.length - 1) this.stop();
      else this.state.change({ epoch: this.epoch + 1 }, "play");
    }, PACE);
    return undefined;
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
    this.state.settle();
  }

  close() {
    if (this.timer) this.stop();
    this.moments.close();
    this.curves.close();
  }
}
