// What each model makes of an image, beside how large its errors typically are, in words.

import { number } from "./elements.js";

const ROLES = { source: "from its code", own: "from its own code", mapped: "from the mapped code" };

const percent = (share) => `${number(100 * share, 0)} %`;
const small = (mse) => mse.toPrecision(3);

/** How large the errors of a model typically are. */
export function spreadInWords({ n, low, median, high }) {
  return `of ${n.toLocaleString("en")} images half are below ${small(median)}, 90 % from ${small(low)} to ${small(high)}`;
}

/** How many of the sampled images each model was trained on. */
export function seenInWords(seen) {
  const counts = Object.entries(seen).map(([name, n]) => `${name} ${n === null ? "unknown" : n.toLocaleString("en")}`);
  return `Seen in training: ${counts.join(", ")}.`;
}

/** Pictures {key, caption, note, warn, blob} of a member, for figures. */
export function picturesOf({ told, files }, typical) {
  const [original, ...made] = files;
  const pictures = told.made.map(({ model, role, mse, worse }, i) => {
    const known = typical?.models.find((one) => one.model === model && one.role === role);
    const parts = [`${ROLES[role]}, mse ${small(mse)}`];
    if (worse !== null) parts.push(`larger than ${percent(worse)} of its errors`);
    if (known?.spread) parts.push(`median ${small(known.spread.median)}`);
    const blind = known?.here?.verdict === "blind";
    if (blind) parts.push("blind to this sector");
    return { key: `${role} ${model} ${i}`, caption: model, note: parts.join("; "), warn: blind, blob: made[i], ...told.files[i + 1] };
  });
  return [{ key: "original", caption: "image", note: told.id, blob: original, ...told.files[0] }, ...pictures];
}

/** What is known of the sector that is looked at, a line a model. */
export function verdictInWords({ model, here, sectors, few, blind, reference }) {
  const over = reference === null ? "" : ` over what ${reference} finds hard`;
  const others = `${blind.length} of ${sectors} sectors of these signs blind${few ? `, of ${few} nothing is told: too few images` : ""}`;
  if (!here) return `${model}: no image of this sector in the sample; ${others}`;
  const times = `${number(here.excess)} times the rest${over}`;
  const said = {
    blind: `blind to this sector: ${times}, p ${here.p?.toPrecision(2)} before correction`,
    "not told": `not blind by what is told of this sector: ${times}, p ${here.p?.toPrecision(2)} before correction`,
    "too few": `${here.n} images of this sector are too few to tell, or the rest is`,
  }[here.verdict];
  return `${model}: ${said}; ${others}`;
}
