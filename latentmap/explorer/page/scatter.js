// Points on a canvas, hundreds of thousands of them: discs that are written into its pixels. Nothing
// is allocated from frame to frame.

// The radius of a disc, in CSS pixels, of so many points or more.
const RADII = [[50000, 1], [8000, 1.6], [2000, 2.4], [0, 3.2]];
const LARGEST = 6;
const MARGIN = 0.06;
// Points times squared pixels of a radius: of more, edges are hard, and discs smaller.
const [SOFT, INK] = [60000, 400000];

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
    this.drawn = this.xy; // In the order in which they are drawn, as are their colours, as pixels:
    this.words = null;
    this.order = new Uint32Array(0);
    this.paper = 0xffffffff;
    this.box = { x: 0, y: 0, span: 1 }; // The middle, and how much of the plane the shorter side holds.
    this.stamp = {};
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
    const order = this.orderOf(this.n);
    this.drawn = new Float32Array(xy.length);
    for (let i = 0; i < this.n; i += 1) {
      this.drawn[2 * i] = xy[2 * order[i]];
      this.drawn[2 * i + 1] = xy[2 * order[i] + 1];
    }
  }

  /** An order of points in which those of one label, which may follow each other, hide no others. */
  orderOf(n) {
    if (this.order.length === n) return this.order;
    const stride = strideOf(n);
    this.order = new Uint32Array(n);
    for (let i = 1; i < n; i += 1) this.order[i] = (this.order[i - 1] + stride) % n;
    return this.order;
  }

  /** The box that holds all points, in the canvas as it is. */
  all() {
    const { x, y, w, h } = this.extent;
    const short = Math.min(this.width, this.height);
    const span = Math.max((w * short) / this.width, (h * short) / this.height) * (1 + 2 * MARGIN);
    return { x, y, span: span || 1 };
  }

  /** Takes the colours of points: their `places` in a palette. */
  paint(places, colours, unknown, paper) {
    const palette = new Uint32Array(256).fill(wordOf(unknown));
    colours.forEach((colour, i) => { palette[i] = wordOf(colour); });
    const order = this.orderOf(places.length);
    this.words = new Uint32Array(places.length);
    for (let i = 0; i < places.length; i += 1) this.words[i] = palette[places[order[i]]];
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

  /**
   * A disc as places of pixels from its middle: those it covers wholly, and those of its edge with the
   * part, of 256, that is covered; where it is `hard` each of these is covered or not.
   */
  stampOf(radius, hard) {
    const { width, stamp } = this;
    if (stamp.radius === radius && stamp.hard === hard && stamp.width === width) return stamp;
    const reach = Math.ceil(radius);
    const [whole, edge, parts] = [[], [], []];
    for (let y = -reach; y <= reach; y += 1) {
      for (let x = -reach; x <= reach; x += 1) {
        const part = Math.round(256 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y))));
        if (part === 256 || (hard && part >= 128)) whole.push(y * width + x);
        else if (part && !hard) {
          edge.push(y * width + x);
          parts.push(part);
        }
      }
    }
    this.stamp = { radius, hard, width, reach, whole: Int32Array.from(whole), edge: Int32Array.from(edge), parts: Uint16Array.from(parts) };
    return this.stamp;
  }

  draw() {
    const { pixels, width, height, drawn, words, n, box, scale } = this;
    pixels.fill(this.paper);
    if (words !== null) {
      // Where points lie thick, large discs and soft edges are not seen, and take most of the time.
      const { seen } = this;
      const radius = Math.round(Math.min(this.radius * this.ratio, Math.sqrt(INK / seen)) * 4) / 4;
      const { reach, whole, edge, parts } = this.stampOf(radius, seen * radius * radius > SOFT);
      const left = width / 2 - box.x * scale + 0.5;
      const top = height / 2 + box.y * scale + 0.5;
      const [right, low] = [width - reach, height - reach];
      for (let i = 0; i < n; i += 1) {
        const x = Math.floor(drawn[2 * i] * scale + left);
        const y = Math.floor(top - drawn[2 * i + 1] * scale);
        if (x < reach || y < reach || x >= right || y >= low) continue;
        const at = y * width + x;
        const word = words[i];
        for (let k = 0; k < whole.length; k += 1) pixels[at + whole[k]] = word;
        for (let k = 0; k < edge.length; k += 1) pixels[at + edge[k]] = mixed(pixels[at + edge[k]], word, parts[k]);
      }
    }
    this.pen.putImageData(this.image, 0, 0);
  }

  /** How many points are in the canvas. */
  get seen() {
    const { drawn, n, box, scale } = this;
    const [across, up] = [this.width / scale / 2, this.height / scale / 2];
    let seen = 0;
    for (let i = 0; i < n; i += 1) {
      const inside = Math.abs(drawn[2 * i] - box.x) < across && Math.abs(drawn[2 * i + 1] - box.y) < up;
      seen += inside ? 1 : 0;
    }
    return seen;
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

/** A step that comes to each of `n` numbers once, and soon to all parts of them. */
function strideOf(n) {
  let stride = Math.max(1, Math.floor(n * 0.618));
  while (divisor(stride, n) !== 1) stride += 1;
  return stride;
}

function divisor(a, b) {
  return b ? divisor(b, a % b) : a;
}
