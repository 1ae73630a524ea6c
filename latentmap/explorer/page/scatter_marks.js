// What lies over the points: the axes in their units, and rings about some of the points.

import { number } from "./elements.js";

const APART = 90; // CSS pixels between two lines, at least.
const INSET = 6;

/** The step between lines, 1, 2 or 5 of a power of ten, for a number of units of one pixel. */
function stepOf(unit) {
  const least = unit * APART;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((times) => times * power >= least);
}

export class Marks {
  constructor(canvas, scatter) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.scatter = scatter;
    this.rings = []; // {point, radius, colour, width}
    this.titles = ["", ""];
    this.colours = { line: "#888888", soft: "#888888", ink: "#000000", page: "#ffffff" };
  }

  resize(width, height, ratio) {
    [this.width, this.height, this.ratio] = [width, height, ratio];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  draw() {
    const { pen } = this;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.font = "12px system-ui, sans-serif";
    this.drawAxes();
    for (const ring of this.rings) this.drawRing(ring);
  }

  drawAxes() {
    const { pen, scatter, width, height } = this;
    const { box, scale, ratio } = scatter;
    const step = stepOf(ratio / scale);
    const halfWidth = (width * ratio) / scale / 2;
    const halfHeight = (height * ratio) / scale / 2;
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    pen.textBaseline = "alphabetic";
    for (let i = Math.ceil((box.x - halfWidth) / step); i * step <= box.x + halfWidth; i += 1) {
      const x = Math.round(scatter.xOf(i * step)) + 0.5;
      this.line(x, 0, x, height, i === 0);
      if (x > 3.5 * INSET && x < width - 3.5 * INSET) this.text(number(i * step, digits), x, height - INSET, "center");
    }
    for (let i = Math.ceil((box.y - halfHeight) / step); i * step <= box.y + halfHeight; i += 1) {
      const y = Math.round(scatter.yOf(i * step)) + 0.5;
      this.line(0, y, width, y, i === 0);
      if (y > 5 * INSET && y < height - 5 * INSET) this.text(number(i * step, digits), INSET, y - 3, "left");
    }
    this.text(`${this.titles[0]} \u2192`, width - INSET, height - 4 * INSET, "right", this.colours.ink);
    this.text(`\u2191 ${this.titles[1]}`, INSET, 3 * INSET, "left", this.colours.ink);
  }

  line(x0, y0, x1, y1, zero) {
    const { pen } = this;
    pen.lineWidth = 1;
    pen.strokeStyle = this.colours.line;
    pen.globalAlpha = zero ? 1 : 0.45;
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  text(words, x, y, align, colour = this.colours.soft) {
    const { pen } = this;
    pen.textAlign = align;
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = this.colours.page;
    pen.strokeText(words, x, y);
    pen.fillStyle = colour;
    pen.fillText(words, x, y);
  }

  drawRing({ point, radius, width }) {
    const { pen, scatter } = this;
    const x = scatter.xOf(scatter.xy[2 * point]);
    const y = scatter.yOf(scatter.xy[2 * point + 1]);
    for (const [wide, colour] of [[width + 2, this.colours.page], [width, this.colours.ink]]) {
      pen.lineWidth = wide;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}
