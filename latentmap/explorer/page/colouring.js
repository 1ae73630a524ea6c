// Points as places in a palette: groups by their colours, numbers along a scale.

const ENDS = 0.02; // The share of points beyond each end of a scale.
// Levels of the scale that stand out from a page.
const SEEN = { light: [0, 52], dark: [14, 64] };
const UNKNOWN = 255; // The last place of a palette.

/** The ends of a scale over some numbers; null where none is known. */
function endsOf(numbers) {
  const known = knownOf(numbers);
  if (!known.length) return null;
  const end = Math.floor(ENDS * known.length);
  return [ranked(known, end), ranked(known, known.length - 1 - end)];
}

function knownOf(numbers) {
  const known = new Float32Array(numbers.length);
  let n = 0;
  for (const value of numbers) {
    if (!Number.isNaN(value)) {
      known[n] = value;
      n += 1;
    }
  }
  return known.subarray(0, n);
}

/**
 * The number of a rank, from 0; the numbers change places. Sorting them all stops the page for 75 ms,
 * again and again while colours fill in, where this takes 5.
 */
function ranked(numbers, rank) {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = numbers[(low + high) >> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (numbers[i] < middle) i += 1;
      while (numbers[j] > middle) j -= 1;
      if (i <= j) {
        const value = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = value;
        i += 1;
        j -= 1;
      }
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return numbers[rank];
}

const EXACT = 2 ** 24; // Below that float32 holds whole numbers.

/** A number: a whole one with all its digits, such as a year, others with some that count. */
export function inDigits(value, digits) {
  if (Number.isInteger(value) && Math.abs(value) < EXACT) return value.toString();
  return Number(value.toPrecision(digits)).toString();
}

export class Colouring {
  /** What {numbers, told} of all points say; `scale` are the colours of numbers. */
  constructor({ numbers, told }, scale) {
    this.numbers = numbers;
    this.groups = told.groups;
    this.note = told.note;
    this.scale = scale;
    this.ends = this.groups ? null : endsOf(numbers);
    this.counts = this.groups?.map(() => 0);
    this.unknown = 0;
    this.places = new Uint8Array(numbers.length);
    this.fill();
  }

  fill() {
    const [low, high] = this.ends ?? [0, 1];
    const top = this.scale.length - 1;
    for (let i = 0; i < this.numbers.length; i += 1) {
      const value = this.numbers[i];
      if (Number.isNaN(value)) {
        this.places[i] = UNKNOWN;
        this.unknown += 1;
      } else if (this.groups) {
        this.counts[value] += 1;
        this.places[i] = value % UNKNOWN;
      } else {
        const share = high > low ? (value - low) / (high - low) : 0.5;
        this.places[i] = Math.round(Math.min(Math.max(share, 0), 1) * top);
      }
    }
  }

  /** The colours of places, on a page that is `dark` or not; `ink` is black, or what stands for it. */
  colours(dark, ink) {
    if (this.groups) {
      return this.groups.slice(0, UNKNOWN).map(({ colour }) => (colour === "#000000" ? ink : colour));
    }
    const [first, last] = SEEN[dark ? "dark" : "light"];
    const top = this.scale.length - 1;
    return this.scale.map((_, i) => this.scale[Math.round(first + (i / top) * (last - first))]);
  }

  /** What a point is, in words; empty where that is not known. */
  inWords(point) {
    const value = this.numbers[point];
    if (Number.isNaN(value)) return "";
    return this.groups ? this.groups[value].name || "(none)" : inDigits(value, 4);
  }
}
