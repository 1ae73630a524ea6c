// A plot of points: the canvases, the colours of the page, and what is under the pointer or, by keys,
// has the focus.

import { make } from "./elements.js";
import { Scatter } from "./scatter.js";
import { PlotInput } from "./scatter_input.js";
import { Marks } from "./scatter_marks.js";

const REACH = 14; // CSS pixels from the pointer to a point that is meant.
// Parts of the box that holds all points, which another may show, and may be away from it.
const [CLOSEST, FARTHEST, AWAY] = [1e-4, 4, 100];
const DARK = matchMedia("(prefers-color-scheme: dark)");

function hexOf(rgb) {
  return `#${rgb.match(/\d+/g).slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
}

function between(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

export class Plot {
  /** `on` has focus(point), -1 for none; take(point); and boxed(box), null for all, at the end of a movement. */
  constructor(label, help, on) {
    this.on = on;
    this.focus = -1;
    const points = make("canvas");
    const marks = make("canvas");
    this.element = make("div", {
      class: "plot", tabindex: 0, role: "application", "aria-roledescription": "plot of points",
      "aria-label": label, "aria-describedby": help,
    }, points, marks);
    this.scatter = new Scatter(points);
    this.marks = new Marks(marks, this.scatter);
    this.wanted = null; // The box that the state names.
    this.frame = () => this.draw();
    this.asked = false;
    this.stale = true; // The points, and not only what lies over them, are to be drawn.
    this.colouring = null;
    this.input = new PlotInput(this.element, {
      pan: (dx, dy) => this.pan(dx, dy),
      zoom: (factor, x, y) => this.zoom(factor, x, y),
      end: () => this.tell(),
      hover: (x, y) => this.look(this.scatter.at(x, y, REACH)),
      leave: () => this.look(-1),
      click: (x, y) => this.click(x, y),
      step: (right, up) => this.step(right, up),
      take: () => { if (this.focus >= 0) on.take(this.focus); },
      whole: () => this.all(),
    });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
    this.theme = () => this.colour(this.colouring);
    DARK.addEventListener("change", this.theme);
  }

  get ready() {
    return this.scatter.xy.length > 0 && this.scatter.width > 1;
  }

  /** Shows points, with the titles of both axes. */
  place(xy, titles) {
    this.scatter.place(xy);
    this.marks.titles = titles;
    this.look(-1);
    this.show(this.wanted);
  }

  /** Shows a box {x, y, span}, or what is next to it and near the points; null is all. */
  show(box) {
    this.wanted = box;
    if (!this.ready) return;
    this.scatter.box = box === null ? this.scatter.all() : this.near(box);
    this.renew();
  }

  /** A link can say any box; between the sides of some there is no other number, and no axis. */
  near({ x, y, span }) {
    const whole = this.scatter.all();
    const away = AWAY * whole.span;
    return {
      x: between(x, whole.x - away, whole.x + away),
      y: between(y, whole.y - away, whole.y + away),
      span: between(span, whole.span * CLOSEST, whole.span * FARTHEST),
    };
  }

  colour(colouring) {
    this.colouring = colouring;
    const style = getComputedStyle(this.element);
    const [ink, page, line, soft] = [
      style.color, style.backgroundColor, style.borderTopColor, style.textDecorationColor,
    ].map(hexOf);
    this.marks.colours = { ink, page, line, soft };
    if (colouring !== null) {
      this.scatter.paint(colouring.places, colouring.colours(DARK.matches, ink), line, page);
      this.oncoloured?.(colouring.colours(DARK.matches, ink));
    }
    this.renew();
  }

  ring(rings) {
    this.rings = rings;
    this.mark();
  }

  mark() {
    const focused = this.focus >= 0 ? [{ point: this.focus, radius: 8, width: 2 }] : [];
    this.marks.rings = [...(this.rings ?? []), ...focused];
    this.ask();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    this.scatter.resize(width, height, devicePixelRatio);
    this.marks.resize(width, height, devicePixelRatio);
    if (this.colouring === null) this.colour(null);
    this.show(this.wanted);
  }

  pan(dx, dy) {
    const { scatter } = this;
    const unit = scatter.ratio / scatter.scale;
    const { x, y, span } = scatter.box;
    this.show({ x: x - dx * unit, y: y + dy * unit, span });
  }

  zoom(factor, x, y) {
    const { scatter } = this;
    if (!this.ready) return;
    const { span } = this.near({ ...scatter.box, span: scatter.box.span / factor });
    const kept = 1 - span / scatter.box.span;
    const unit = scatter.ratio / scatter.scale;
    this.show({
      x: scatter.box.x + kept * (x - this.element.clientWidth / 2) * unit,
      y: scatter.box.y - kept * (y - this.element.clientHeight / 2) * unit,
      span,
    });
  }

  /** Shows all points again. */
  all() {
    this.input.close();
    this.show(null);
    this.on.boxed(null);
  }

  tell() {
    if (this.ready) this.on.boxed(this.scatter.box);
  }

  look(point) {
    if (point === this.focus) return;
    this.focus = point;
    this.on.focus(point);
    this.mark();
  }

  click(x, y) {
    const point = this.ready ? this.scatter.at(x, y, REACH) : -1;
    this.look(point);
    if (point >= 0) this.on.take(point);
  }

  /** To the neighbour in a direction; at first to what is in the middle. */
  step(right, up) {
    if (!this.ready) return;
    const { scatter, element } = this;
    if (this.focus < 0) this.look(scatter.at(element.clientWidth / 2, element.clientHeight / 2, Infinity));
    else this.look(scatter.beside(this.focus, right, up));
    this.follow();
  }

  /** Moves the box, where the focus would leave it. */
  follow() {
    const { scatter, element } = this;
    const x = scatter.xOf(scatter.xy[2 * this.focus]);
    const y = scatter.yOf(scatter.xy[2 * this.focus + 1]);
    if (x >= 0 && y >= 0 && x <= element.clientWidth && y <= element.clientHeight) return;
    this.pan(element.clientWidth / 2 - x, element.clientHeight / 2 - y);
    this.tell();
  }

  renew() {
    this.stale = true;
    this.ask();
  }

  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(this.frame);
  }

  draw() {
    this.asked = false;
    if (!this.ready) return;
    if (this.stale) this.scatter.draw();
    this.stale = false;
    this.marks.draw();
  }

  close() {
    this.input.close();
    this.observer.disconnect();
    DARK.removeEventListener("change", this.theme);
  }
}
