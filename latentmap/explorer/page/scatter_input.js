// How a plot is moved: by pointers (one drags, two pinch), by the wheel, and by keys.

const CLICK = 5; // CSS pixels that a click may move.
const QUIET = 300; // Milliseconds without a turn of the wheel after which it has ended.
const STEP = 1.25;
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class PlotInput {
  /**
   * `on` has what is done: pan(dx, dy), zoom(factor, x, y) about a place, end(), hover(x, y), leave(),
   * click(x, y), step(right, up), take(), whole(). Places are CSS pixels in the element.
   */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.down = new Map();
    this.far = 0;
    element.addEventListener("pointerdown", (event) => this.press(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.lift(event, true));
    element.addEventListener("pointercancel", (event) => this.lift(event, false));
    element.addEventListener("pointerleave", () => { if (!this.down.size) on.leave(); });
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  placeOf(event) {
    const { left, top } = this.element.getBoundingClientRect();
    const { clientLeft, clientTop } = this.element; // Its border.
    return [event.clientX - left - clientLeft, event.clientY - top - clientTop];
  }

  press(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, this.placeOf(event));
    if (this.down.size === 1) this.far = 0;
    else this.far = Infinity; // Two fingers never click.
  }

  move(event) {
    const [x, y] = this.placeOf(event);
    const last = this.down.get(event.pointerId);
    if (last === undefined) {
      if (event.pointerType !== "touch") this.on.hover(x, y);
      return;
    }
    const [dx, dy] = [x - last[0], y - last[1]];
    this.far += Math.hypot(dx, dy);
    if (this.down.size === 1 && this.far > CLICK) this.on.pan(dx, dy);
    if (this.down.size === 2) {
      const [other] = [...this.down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const before = Math.hypot(last[0] - other[0], last[1] - other[1]);
      const after = Math.hypot(x - other[0], y - other[1]);
      this.on.pan(dx / 2, dy / 2);
      if (before && after) this.on.zoom(after / before, (x + other[0]) / 2, (y + other[1]) / 2);
    }
    this.down.set(event.pointerId, [x, y]);
  }

  lift(event, clicked) {
    if (!this.down.delete(event.pointerId) || this.down.size) return;
    if (clicked && this.far <= CLICK) this.on.click(...this.placeOf(event));
    else this.on.end();
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.on.zoom(Math.exp(-0.002 * event.deltaY * lines), ...this.placeOf(event));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.on.end(), QUIET);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { clientWidth: width, clientHeight: height } = this.element;
    const arrow = ARROWS[event.key];
    const zoom = { "+": STEP, "=": STEP, "-": 1 / STEP }[event.key];
    if (arrow && event.shiftKey) {
      this.on.pan((-arrow[0] * width) / 8, (arrow[1] * height) / 8);
      this.on.end();
    } else if (arrow) {
      this.on.step(...arrow);
    } else if (zoom) {
      this.on.zoom(zoom, width / 2, height / 2);
      this.on.end();
    } else if (event.key === "0") {
      this.on.whole();
    } else if (event.key === "Enter" || event.key === " ") {
      this.on.take();
    } else if (event.key === "Escape") {
      this.on.leave();
    } else {
      return;
    }
    event.preventDefault();
  }

  close() {
    clearTimeout(this.timer);
  }
}
