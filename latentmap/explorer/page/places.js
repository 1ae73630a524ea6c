// Places in the source's space, as latentmap/explorer/places.py reads them: moves of controls by
// sets, such as variables_3_1.5_7_-0.5*directions_0_1.

export function readMoves(text) {
  if (!text) return [];
  return text.split("*").map((part) => {
    const [by, ...words] = part.split("_");
    const values = new Map();
    for (let i = 0; i + 1 < words.length; i += 2) values.set(Number(words[i]), Number(words[i + 1]));
    return { by, values };
  });
}

export function writeMoves(moves) {
  return moves
    .filter(({ values }) => values.size)
    .map(({ by, values }) => [by, ...[...values].flat()].join("_"))
    .join("*");
}

/** Moves with one control at a value; null takes it back to where it was before it was moved. */
export function moved(moves, by, control, value) {
  const last = moves.at(-1);
  const values = new Map(last?.by === by ? last.values : []);
  if (value === null) values.delete(control);
  else values.set(control, value);
  return [...(last?.by === by ? moves.slice(0, -1) : moves), { by, values }];
}

const KEYS = ["start", "image", "seed", "upload", "moves"];

/** The place that a state says, by the keys that count. */
export function placeOf(state) {
  const start = state.get("start", "mean");
  const counts = { start: true, moves: true, image: start === "image", seed: start === "random", upload: start === "upload" };
  const known = KEYS.filter((key) => counts[key] && state.get(key)).map((key) => [key, state.get(key)]);
  return { start, ...Object.fromEntries(known) };
}

/** The number of a random code. */
export function randomSeed() {
  const [seed] = crypto.getRandomValues(new Uint32Array(1));
  return seed >>> 1;
}

/** The ids of the images that were sent and that some places, written as states, start from. */
export function uploadsOf(places) {
  const found = places.map((place) => new URLSearchParams(place)).filter((place) => place.get("start") === "upload");
  return found.map((place) => place.get("upload") ?? "");
}

/** Such a place in words. */
export function placeInWords(place) {
  const found = new URLSearchParams(place);
  const words = startInWords({ get: (key, otherwise = "") => found.get(key) ?? otherwise });
  return found.get("moves") ? `${words}, moved` : words;
}

/** Where moves start from, in words. */
export function startInWords(state) {
  const start = state.get("start", "mean");
  if (start === "upload") return "the code of your own image";
  if (start === "image") return `the code of ${state.get("image")}`;
  if (start === "random") return `the random code ${state.get("seed", "0")}`;
  return "the mean code";
}
