// The view "Points": the codes of the images in a plane, what they are coloured by, and the images
// nearest to the one that is taken.

import { insist, Latest } from "./api.js";
import { Colouring } from "./colouring.js";
import { Command } from "./command.js";
import { make, release } from "./elements.js";
import { Legend } from "./legend.js";
import { Neighbours } from "./neighbours.js";
import { Plot } from "./plot.js";
import { ofPoints } from "./points_data.js";
import { say } from "./status.js";

const HELP = "Drag moves, the wheel or two fingers zoom, a click takes the image of a point. By keys: arrows go "
  + "from point to point, Shift with arrows moves, + and \u2212 zoom, 0 shows all, Enter takes.";

/** The plane of a state, {by, x, y}: by default the first two principal directions. */
function readPlane(text, controls) {
  const [by, ...words] = text.split("_");
  const set = controls.find(({ name }) => name === by) ?? controls.at(-1);
  const known = new Set(set.controls.map(({ number }) => String(number)));
  const [x, y] = [0, 1].map((i) => {
    const other = set.controls[Math.min(i, set.controls.length - 1)].number;
    return set.name === by && known.has(words[i]) ? Number(words[i]) : other;
  });
  return { set, x, y };
}

function readBox(text) {
  const [x, y, span] = text.split("_").map(Number);
  return text && [x, y, span].every(Number.isFinite) && span > 0 ? { x, y, span } : null;
}

export class PointsView {
  constructor(space, state) {
    this.space = space;
    this.state = state;
    this.known = null; // What the server says of points and their colours.
    this.xy = null;
    this.colouring = null;
    this.plane = ""; // This, the box and the colouring as the state has them.
    this.box = null;
    this.by = "";
    this.closed = false;
    this.hovered = new Latest("point", (answer, asked) => this.showPoint(answer, asked), say);
    this.plot = new Plot("Codes of the images in a plane", "points-help", {
      focus: (point) => this.look(point),
      take: (point) => this.take(point),
      boxed: (box) => this.keep(box),
    });
    this.plot.oncoloured = (colours) => this.legend.show(this.coloured, this.colouring, colours);
    this.legend = new Legend();
    this.neighbours = new Neighbours((id) => this.pick(id), (told) => this.ring(told));
    this.command = new Command(space.commands.points ?? space.command);
    this.build();
    this.begin();
  }

  build() {
    const first = this.space.controls.at(-1);
    this.set = make("select", { id: "plane", onchange: () => this.choose(this.set.value) },
      ...this.space.controls.map(({ name, title }) => make("option", { value: name }, name === first.name ? "principal plane" : title)));
    this.axes = ["x", "y"].map((axis) => make("select", {
      id: `axis-${axis}`, onchange: () => this.choose(this.set.value, this.axes.map(({ value }) => value)),
    }));
    this.colours = make("select", {
      id: "colour",
      onchange: () => this.state.change({ colour: this.colours.value === this.known.colours[0].name ? null : this.colours.value }),
    });
    const labelled = (id, words, element) => make("span", { class: "choice" }, make("label", { for: id }, words), element);
    this.progress = make("p", { class: "note", role: "status" });
    const zoom = (words, label, factor) => make("button", { type: "button", "aria-label": label, onclick: () => this.zoom(factor) }, words);
    const tools = make("div", { class: "row tools" },
      labelled("plane", "Plane", this.set), labelled("axis-x", "across", this.axes[0]), labelled("axis-y", "up", this.axes[1]),
      labelled("colour", "Colour", this.colours),
      zoom("+", "Closer", 1.5), zoom("\u2212", "Farther", 1 / 1.5),
      make("button", { type: "button", onclick: () => this.plot.all() }, "All"));
    this.image = make("img", { alt: "" });
    this.caption = make("figcaption", { "aria-live": "polite" });
    this.card = make("figure", { class: "point" }, this.image, this.caption);
    this.taken = make("p", { class: "note" });
    this.move = make("button", { type: "button", onclick: () => this.state.change({ view: null }) }, "Move this code");
    this.frame = make("div", { class: "scene" }, this.plot.element, this.card);
    this.card.hidden = true;
    this.element = make("div", { class: "points" },
      make("section", { "aria-label": "Plane" }, tools, this.frame, this.progress,
        make("p", { class: "note", id: "points-help" }, HELP), this.command.element),
      make("section", { class: "about", "aria-label": "About the points" }, this.legend.element,
        make("div", { class: "row taken" }, this.neighbours.image, this.taken, this.move), this.neighbours.element));
  }

  async begin() {
    try {
      const answer = await insist("colours", {}, () => !this.closed, say);
      if (answer === null) return;
      this.known = answer.told;
      this.colours.replaceChildren(...this.known.colours.map(({ name, title }) => make("option", { value: name }, title)));
      this.update();
    } catch (error) {
      say(error.message);
    }
  }

  titleOf(name) {
    return this.known.colours.find((one) => one.name === name)?.title ?? name;
  }

  /** Writes the box that is seen into the state. */
  keep(box) {
    const text = box === null ? "" : [box.x, box.y, box.span].map((value) => Number(value.toPrecision(6))).join("_");
    if (text === this.state.get("box")) return;
    this.box = text;
    this.state.change({ box: text });
  }

  choose(set, numbers = []) {
    this.state.change({ plane: [set, ...numbers].join("_"), box: null });
  }

  update() {
    if (this.known === null) return;
    const plane = readPlane(this.state.get("plane"), this.space.controls);
    const key = [plane.set.name, plane.x, plane.y].join("_");
    if (this.state.get("box") !== this.box) { // Else it may be on its way to another.
      this.box = this.state.get("box");
      this.plot.show(readBox(this.box));
    }
    if (key !== this.plane) {
      this.plane = key;
      this.showChoice(plane);
      this.loadPlane(plane, key);
    }
    const by = this.state.get("colour", this.known.colours[0].name);
    if (by !== this.by) {
      this.by = by;
      this.colours.value = by;
      this.loadColours(by);
    }
    const id = this.state.get("start") === "image" ? this.state.get("image") : null;
    this.taken.textContent = id === null ? "Take a point: its image is the start of \u201cMove a code\u201d." : `Taken: ${id}`;
    this.move.hidden = id === null;
    this.neighbours.follow(id);
    const taken = id === null ? {} : { start: "image", image: id };
    const box = readBox(this.box) === null ? {} : { box: this.box };
    this.command.update({ view: "points", plane: key, colour: by, ...box, ...taken });
  }

  showChoice({ set, x, y }) {
    this.set.value = set.name;
    [x, y].forEach((number, i) => {
      this.axes[i].replaceChildren(...set.controls.map((one) => make("option", { value: one.number }, `${one.name} \u00b7 ${one.note}`)));
      this.axes[i].value = number;
    });
  }

  async loadPlane({ set, x, y }, key) {
    const n = this.known.points;
    const answer = await this.load("plane", { by: set.name, x, y }, 2, "codes", () => this.plane === key, () => {});
    if (!answer) return;
    const name = (number) => set.controls.find((one) => one.number === number).name;
    this.xy = answer.numbers;
    this.plot.place(this.xy, [name(x), name(y)]);
    this.plot.element.setAttribute("aria-label", `${n.toLocaleString("en")} codes: ${name(x)} across, ${name(y)} up, in standard deviations`);
    if (this.near) this.ring(this.near);
  }

  async loadColours(by) {
    let shown = 0;
    const show = (part) => {
      this.colouring = new Colouring(part, this.known.scale);
      this.coloured = this.titleOf(by);
      this.plot.colour(this.colouring);
      if (this.shown) this.describe();
    };
    const answer = await this.load("colour", { by }, 1, this.titleOf(by), () => this.by === by, (part) => {
      const now = performance.now();
      if (now - shown > 500) show(part); // The colours of numbers are found anew each time.
      shown = now - shown > 500 ? now : shown;
    });
    if (answer) show(answer);
  }

  /** What the server answers for all points, with its progress on the page; null where not wanted. */
  async load(action, asked, width, words, wanted, onpart) {
    const { points: n, images } = this.known;
    const even = n < images ? `, evenly of ${images.toLocaleString("en")}` : "";
    try {
      return await ofPoints(action, asked, n, width, (done, part) => {
        const [some, all] = [done, n].map((count) => count.toLocaleString("en"));
        this.progress.textContent = done < n ? `${words}: ${some} of ${all} points` : `${all} points${even}`;
        if (done < n) onpart(part);
      }, () => !this.closed && wanted());
    } catch (error) {
      say(error.message);
      return null;
    }
  }

  zoom(factor) {
    const { clientWidth, clientHeight } = this.plot.element;
    this.plot.zoom(factor, clientWidth / 2, clientHeight / 2);
    this.plot.tell();
  }

  look(point) {
    this.looked = point;
    if (point < 0) this.card.hidden = true;
    else this.hovered.ask({ number: point });
  }

  showPoint({ told, files }, { number }) {
    if (number !== this.looked) return;
    release(this.image.src);
    this.image.src = files.length ? URL.createObjectURL(files[0]) : "";
    this.shown = { number, id: told.id };
    this.describe();
    this.card.hidden = false;
    this.put(number);
  }

  /** Says what the shown point is, by its colour. */
  describe() {
    const { number, id } = this.shown;
    const value = this.colouring?.inWords(number);
    this.caption.textContent = value ? `${id}, ${this.coloured} ${value}` : id;
  }

  /** Puts the card beside its point, on the side with more room. */
  put(number) {
    const { scatter, element } = this.plot;
    const x = scatter.xOf(this.xy[2 * number]);
    const y = scatter.yOf(this.xy[2 * number + 1]);
    const left = x > element.clientWidth / 2 ? x - this.card.offsetWidth - 14 : x + 14;
    const top = y > element.clientHeight / 2 ? y - this.card.offsetHeight - 14 : y + 14;
    this.card.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
  }

  async take(point) {
    try {
      const answer = await insist("point", { number: point }, () => !this.closed, say);
      if (answer !== null) this.pick(answer.told.id);
    } catch (error) {
      say(error.message);
    }
  }

  pick(id) {
    this.state.change({ start: "image", image: id, seed: null, moves: null });
  }

  ring(told) {
    this.near = told;
    if (told === null || this.xy === null) {
      this.plot.ring([]);
      return;
    }
    const near = told.spaces[0].points.map((point) => ({ point, radius: 5, width: 1 }));
    this.plot.ring([...near, ...(told.point === null ? [] : [{ point: told.point, radius: 10, width: 3 }])]);
  }

  close() {
    this.closed = true;
    this.hovered.close();
    this.neighbours.close();
    this.plot.close();
    release(this.image.src);
  }
}
