// Points on a canvas, hundreds of thousands of them: discs that are written into its pixels. Nothing
// is allocated from frame to frame.

import { UNKNOWN } from "./colouring.js";

// The radius of a disc, in CSS pixels, of so many points or more.
const RADII = [[50000, 1], [8000, 1.6], [2000, 2.4], [0, 3.2]];
const LARGEST = 6;
const MARGIN = 0.06;

/** `#rrggbb` as the four bytes of a pixel, as they lie in a word of a little endian machine. */
function wordOf(colour) {
  const rgb = Number.parseInt(colour.slice(1), 16);
  return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

function mixed(under, over, part) {
  const rest = 256 - part;
  const odd = ((under & 0xff00ff) * rest + (over & 0xff00ff) * part) >>> 8;
  const green = ((under & 0x00ff00) >>> 8) * rest + ((over & 0x00ff00) >>> 8) * part;
  return (0xff000000 | (odd & 0xff00ff) | (green & 0x00ff00)) >>> 0;
}

export class Scatter {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.xy = new Float32Array(0);
    this.places = null;
    this.palette = new Uint32Array(256);
    this.paper = 0xffffffff;
    this.whole = { x: 0, y: 0, span: 1 };
    this.box = { x: 0, y: 0, span: 1 }; // The middle, and how much of the plane the shorter side holds.
    this.stamp = { radius: 0, side: 0, parts: new Uint16Array(0) };
    this.width = 0;
    this.height = 0;
    this.ratio = 1;
  }

  /** Takes a size in CSS pixels. */
  resize(width, height, ratio) {
    const w = Math.max(1, Math.round(width * ratio));
    const h = Math.max(1, Math.round(height * ratio));
    if (w === this.width && h === this.height && ratio === this.ratio) return;
    [this.width, this.height, this.ratio] = [w, h, ratio];
    [this.canvas.width, this.canvas.height] = [w, h];
    this.image = this.pen.createImageData(w, h);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /** Takes points, x and y by turns. */
  place(xy) {
    this.xy = xy;
    this.n = xy.length / 2;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < xy.length; i += 2) {
      left = Math.min(left, xy[i]);
      right = Math.max(right, xy[i]);
      low = Math.min(low, xy[i + 1]);
      high = Math.max(high, xy[i + 1]);
    }
    this.extent = { x: (left + right) / 2, y: (low + high) / 2, w: right - left, h: high - low };
    // Points lie in an order, such as that of their labels, in which some would hide others.
    this.stride = Math.max(1, Math.floor(this.n * 0.618));
    while (divisor(this.stride, this.n) !== 1) this.stride += 1;
  }

  /** The box that holds all points, in the canvas as it is. */
  all() {
    const { x, y, w, h } = this.extent;
    const short = Math.min(this.width, this.height);
    const span = Math.max((w * short) / this.width, (h * short) / this.height) * (1 + 2 * MARGIN);
    return { x, y, span: span || 1 };
  }

  paint(places, colours, unknown, paper) {
    this.places = places;
    this.palette.fill(wordOf(unknown));
    colours.forEach((colour, i) => { this.palette[i] = wordOf(colour); });
    this.palette[UNKNOWN] = wordOf(unknown);
    this.paper = wordOf(paper);
  }

  /** Pixels of the canvas for a unit of the plane. */
  get scale() {
    return Math.min(this.width, this.height) / this.box.span;
  }

  get radius() {
    const [, base] = RADII.find(([least]) => this.n >= least);
    const closer = Math.sqrt(Math.max(1, this.all().span / this.box.span));
    return Math.min(base * closer, LARGEST);
  }

  /** The part, of 256, of each pixel about a point that a disc covers. */
  stampOf(radius) {
    if (radius === this.stamp.radius) return this.stamp;
    const reach = Math.ceil(radius - 0.5);
    const side = 2 * reach + 1;
    const parts = new Uint16Array(side * side);
    for (let y = 0; y < side; y += 1) {
      for (let x = 0; x < side; x += 1) {
        const far = Math.hypot(x - reach, y - reach);
        parts[y * side + x] = Math.round(256 * Math.min(1, Math.max(0, radius + 0.5 - far)));
      }
    }
    this.stamp = { radius, side, reach, parts };
    return this.stamp;
  }

  draw() {
    const { pixels, width, height, xy, n, places, palette, stride, box, scale } = this;
    pixels.fill(this.paper);
    if (places !== null && n) {
      const { side, reach, parts } = this.stampOf(Math.round(this.radius * this.ratio * 4) / 4);
      const left = width / 2 - box.x * scale - reach;
      const top = height / 2 + box.y * scale - reach;
      for (let i = 0, at = 0; i < n; i += 1) {
        at += stride;
        if (at >= n) at -= n;
        const x0 = Math.round(xy[2 * at] * scale + left);
        const y0 = Math.round(top - xy[2 * at + 1] * scale);
        if (x0 < 0 || y0 < 0 || x0 + side > width || y0 + side > height) continue;
        const word = palette[places[at]];
        for (let y = 0, part = 0; y < side; y += 1) {
          let pixel = (y0 + y) * width + x0;
          for (let x = 0; x < side; x += 1, part += 1, pixel += 1) {
            const covered = parts[part];
            if (covered === 256) pixels[pixel] = word;
            else if (covered) pixels[pixel] = mixed(pixels[pixel], word, covered);
          }
        }
      }
    }
    this.pen.putImageData(this.image, 0, 0);
  }

  /** Where a point is, in CSS pixels of the canvas. */
  xOf(x) {
    return (this.width / 2 + (x - this.box.x) * this.scale) / this.ratio;
  }

  yOf(y) {
    return (this.height / 2 - (y - this.box.y) * this.scale) / this.ratio;
  }

  /** The point that is nearest to a place of the canvas, within `reach` of CSS pixels; or -1. */
  at(x, y, reach) {
    const { xy, n, scale, ratio, box } = this;
    const px = box.x + (x * ratio - this.width / 2) / scale;
    const py = box.y - (y * ratio - this.height / 2) / scale;
    let best = -1;
    let least = ((reach * ratio) / scale) ** 2;
    for (let i = 0; i < n; i += 1) {
      const far = (xy[2 * i] - px) ** 2 + (xy[2 * i + 1] - py) ** 2;
      if (far <= least) [least, best] = [far, i];
    }
    return best;
  }

  /** The nearest point in a direction, (1, 0) or so, from one; itself where there is none. */
  beside(point, right, up) {
    const { xy, n } = this;
    let best = point;
    let least = Infinity;
    for (let i = 0; i < n; i += 1) {
      const x = xy[2 * i] - xy[2 * point];
      const y = xy[2 * i + 1] - xy[2 * point + 1];
      const along = x * right + y * up;
      if (along <= 0 || Math.abs(x * up + y * right) > along) continue;
      const far = x * x + y * y;
      if (far < least) [least, best] = [far, i];
    }
    return best;
  }
}

function divisor(a, b) {
  return b ? divisor(b, a % b) : a;
}
