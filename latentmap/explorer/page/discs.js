// The codes of the followed images as discs in a plane, with the way that led there behind them.

const SIDE = 832; // Twice what is seen, for screens of fine dots.
const MARGIN = 24;
const INK = 4; // Of all discs together: less where there are many.

export class Discs {
  constructor() {
    this.element = document.createElement("canvas");
    [this.element.width, this.element.height] = [SIDE, SIDE];
    this.element.setAttribute("role", "img");
  }

  show({ variables, step, reach, ways, radii, colours }) {
    const pen = this.element.getContext("2d");
    const scale = (SIDE / 2 - MARGIN) / reach;
    const place = ([x, y]) => [SIDE / 2 + x * scale, SIDE / 2 - y * scale];
    pen.clearRect(0, 0, SIDE, SIDE);
    pen.strokeStyle = getComputedStyle(this.element).color;
    pen.globalAlpha = 0.25;
    pen.lineWidth = 2;
    pen.strokeRect(1, 1, SIDE - 2, SIDE - 2);
    this.line(pen, [SIDE / 2, 0], [SIDE / 2, SIDE]);
    this.line(pen, [0, SIDE / 2], [SIDE, SIDE / 2]);
    const now = ways.at(-1);
    now.forEach((at, image) => {
      pen.strokeStyle = pen.fillStyle = colours[image];
      for (let k = 1; k < ways.length; k += 1) {
        pen.globalAlpha = 0.7 * (k / ways.length) ** 2;
        this.line(pen, place(ways[k - 1][image]), place(ways[k][image]));
      }
      const [x, y] = place(at);
      pen.beginPath();
      pen.arc(x, y, Math.max(radii[image] * scale, 3), 0, 2 * Math.PI);
      pen.globalAlpha = Math.min(0.4, INK / now.length);
      pen.fill();
      pen.globalAlpha = 0.6;
      pen.stroke();
    });
    pen.globalAlpha = 1;
    const [first, second] = variables;
    this.element.setAttribute(
      "aria-label",
      `Codes of ${now.length} images in the plane of variables ${first} and ${second} at step ${step}`,
    );
  }

  line(pen, from, to) {
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }
}
