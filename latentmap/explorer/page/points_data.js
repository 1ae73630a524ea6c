// Numbers of points, which the server answers in parts; what was asked lately is kept.

import { insist } from "./api.js";
import { say } from "./status.js";

const KEPT = 8; // Planes and colourings: of 200,000 points up to 1.6 MB each.
const kept = new Map();

/**
 * The answer {numbers, told} to what all `n` points are asked, of `width` numbers each. `onpart` is
 * called with how many are there, and the answer so far; null where `wanted()` has become false.
 */
export async function ofPoints(action, asked, n, width, onpart, wanted) {
  const key = JSON.stringify([action, asked]);
  const known = kept.get(key);
  if (known) return known;
  const answer = { numbers: new Float32Array(n * width).fill(NaN), told: null };
  for (let start = 0; start < n;) {
    const part = await insist(action, { ...asked, start }, wanted, say);
    if (part === null) return null;
    answer.numbers.set(part.arrays[0], start * width);
    answer.told ??= part.told;
    start = part.told.stop;
    onpart(start, answer);
  }
  kept.set(key, answer);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return answer;
}
