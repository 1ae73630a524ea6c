// Lines over the steps of a training, with a mark at one of them.

// The name of SVG, as the browser knows it: no address stands in this page.
const SVG = new DOMParser().parseFromString("<svg>", "text/html").querySelector("svg").namespaceURI;
const [WIDTH, HEIGHT] = [720, 260];
const [LEFT, RIGHT, TOP, BOTTOM] = [80, 12, 12, 28];
const APART = 100; // Values of so many times the least are drawn by their logarithm.

function draw(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function scaleOf(lines) {
  const all = lines.flat();
  // One by one: too many for the arguments of a call.
  let [least, most] = [Infinity, -Infinity];
  for (const one of all) [least, most] = [Math.min(least, one), Math.max(most, one)];
  if (lines.length === 1 && least > 0 && most > APART * least) {
    const [from, to] = [Math.log(least), Math.log(most)];
    const middle = Math.exp((from + to) / 2);
    return { at: (value) => (Math.log(value) - from) / (to - from), ticks: [least, middle, most] };
  }
  if (least > 0) least = 0;
  if (most <= least) most = least + 1;
  const at = (value) => (value - least) / (most - least);
  return { at, ticks: [least, (least + most) / 2, most] };
}

export class Chart {
  constructor() {
    this.element = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img" });
    this.mark = draw("line", { class: "mark", y1: TOP, y2: HEIGHT - BOTTOM });
  }

  /** Draws lines {title, at, lines, inactive} until the step `last`. */
  show({ title, at, lines, inactive }, last) {
    this.last = Math.max(last, 1);
    const { at: share, ticks } = scaleOf(lines);
    const y = (value) => TOP + (1 - share(value)) * (HEIGHT - TOP - BOTTOM);
    const parts = ticks.flatMap((value) => [
      draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, Number(value.toPrecision(3)).toString()),
    ]);
    for (const step of [0, last]) {
      const anchor = step ? "end" : "start";
      const words = step ? `step ${step.toLocaleString("en")}` : "0";
      parts.push(draw("text", { x: this.x(step), y: HEIGHT - 6, "text-anchor": anchor }, words));
    }
    const dead = new Set(inactive);
    // Those that end active lie over the others.
    const order = lines.map((_, i) => i).sort((a, b) => dead.has(b) - dead.has(a));
    for (const i of order) {
      const points = lines[i].map((value, k) => `${this.x(at[k]).toFixed(1)},${y(value).toFixed(1)}`);
      parts.push(draw("polyline", { class: dead.has(i) ? "course dead" : "course", points: points.join(" ") }));
    }
    const ends = dead.size ? `, of which ${dead.size} end inactive` : "";
    const count = lines.length > 1 ? `${lines.length} lines${ends}` : "a line";
    this.element.setAttribute("aria-label", `${title}: ${count}, over ${last} steps`);
    this.element.replaceChildren(...parts, this.mark);
  }

  /** Marks a step. */
  stand(step) {
    this.mark.setAttribute("x1", this.x(step));
    this.mark.setAttribute("x2", this.x(step));
  }

  x(step) {
    return LEFT + (step / this.last) * (WIDTH - LEFT - RIGHT);
  }
}
