// The signs of leading variables: below its center, any, or above, and how many images have each.

import { make, number } from "./elements.js";

const WORDS = { "-": "below its center", ".": "any", "+": "above its center" };
const SHOWN = { "-": "\u2212", ".": "any", "+": "+" };

export class Toggles {
  /** `onchange(place, sign)` is called with one of `-`, `.` and `+`. */
  constructor(notes, onchange) {
    this.notes = notes;
    this.onchange = onchange;
    this.rows = [];
    this.element = make("div", { class: "toggles" });
  }

  /** Shows variables {number, below, above}, with the signs that they have. */
  show(variables, signs) {
    const numbers = variables.map(({ number }) => number).join();
    if (this.numbers !== numbers) {
      this.numbers = numbers;
      this.rows = variables.map((one, place) => this.row(one, place));
      this.element.replaceChildren(...this.rows.map(({ element }) => element));
    }
    variables.forEach(({ below, above }, place) => {
      const { inputs, counts, expected } = this.rows[place];
      inputs[signs[place]].checked = true;
      counts["-"].textContent = below.n.toLocaleString("en");
      counts["+"].textContent = above.n.toLocaleString("en");
      expected.textContent = `${number(above.expected, 1)} expected`;
    });
  }

  row({ number }, place) {
    const { name, note } = this.notes.get(number);
    const inputs = {};
    const counts = {};
    const choices = Object.keys(WORDS).map((sign) => {
      inputs[sign] = make("input", {
        type: "radio", name: `sign-${place}`, value: sign, "aria-label": `${name} ${WORDS[sign]}`,
        onchange: () => this.onchange(place, sign),
      });
      counts[sign] = make("span");
      return make("label", { title: WORDS[sign] }, inputs[sign], SHOWN[sign], counts[sign]);
    });
    const expected = make("span", { class: "note" });
    const element = make("div", { class: "toggle", role: "radiogroup", "aria-label": name },
      make("span", { class: "name", title: note }, name), make("span", { class: "choices" }, ...choices), expected);
    return { element, inputs, counts, expected };
  }
}
