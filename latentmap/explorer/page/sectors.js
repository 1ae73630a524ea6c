// The view "Sectors": the images by signs of leading variables, and what models make of a member.

import { ask, Latest } from "./api.js";
import { Command } from "./command.js";
import { enable, make, number } from "./elements.js";
import { Figures } from "./figures.js";
import { picturesOf, seenInWords, spreadInWords, verdictInWords } from "./making.js";
import { Members } from "./members.js";
import { say } from "./status.js";
import { Toggles } from "./toggles.js";

const COUNT = 24; // Members at a time, and images of the support set.
const LEADING = 7; // Variables, where nothing else is asked for.
const KEYS = ["view", "signs", "threshold", "from", "member"]; // That decide the figure of a command.
const AGAIN = 300; // Milliseconds after which verdicts that are not found are asked for again.

export class SectorsView {
  constructor(space, state) {
    this.state = state;
    this.most = space.leading;
    this.typical = null;
    this.member = null;
    this.command = new Command(space.command);
    this.faults = new Map();
    this.listing = new Latest("sector", (answer) => this.show(answer), (fault) => this.say("sector", fault));
    this.looking = new Latest("member", (answer) => { this.member = answer; this.drawMember(); }, (fault) => this.say("member", fault));
    this.measuring = new Latest("typical", (answer, asked) => this.measured(answer.told, asked), (fault) => this.say("typical", fault));
    const notes = new Map(space.controls[0].controls.map((one) => [one.number, one]));
    this.toggles = new Toggles(notes, (place, sign) => this.change(place, sign));
    const pick = (id) => state.change({ member: id });
    this.members = new Members("Members", pick);
    this.supports = new Members("Images of the support set", pick);
    this.figures = new Figures("What the models make of it");
    this.count = make("p", { class: "count", role: "status" });
    this.range = make("span", { class: "note" });
    this.marks = make("span", { class: "note" });
    this.inSupport = make("p", { class: "note" });
    this.progress = make("p", { class: "note" });
    this.verdicts = make("ul", { class: "verdicts" });
    const button = (text, onclick) => make("button", { type: "button", onclick }, text);
    this.move = button("Move its code", () => this.start_from(state.get("member")));
    this.back = button("Previous", () => this.turn(-COUNT));
    this.on = button("Next", () => this.turn(COUNT));
    this.leading = make("input", {
      type: "number", id: "leading", min: 1, max: this.most, step: 1,
      onchange: () => this.typed(this.leading, "leading", (value) => ({ signs: this.signs.slice(0, value) })),
    });
    this.threshold = make("input", {
      type: "number", id: "threshold", min: 0, max: 100, step: 0.1,
      onchange: () => this.typed(this.threshold, "threshold", () => ({})),
    });
    const controls = make("section", { class: "controls", "aria-label": "Signs of the leading variables" },
      make("div", { class: "row" },
        make("label", { for: "leading" }, "Leading variables"), this.leading,
        make("label", { for: "threshold" }, "Threshold"), this.threshold,
        button("Any", () => state.change({ signs: null, from: null }))),
      this.toggles.element);
    this.element = make("div", { class: "sectors" },
      make("section", { class: "pictures", "aria-label": "Images of these signs" },
        this.count, this.inSupport, this.supports.element, this.members.element,
        make("div", { class: "row" }, this.back, this.on, this.range, this.marks),
        make("section", { "aria-label": "What the models make of it" }, this.figures.element, this.move, this.progress, this.verdicts),
        this.command.element),
      controls);
    this.update();
  }

  /** Says what is wrong with one of the questions, as long as nothing is right with it. */
  say(question, fault) {
    this.faults.set(question, fault);
    say([...new Set(this.faults.values())].filter(Boolean).join(" "));
  }

  get k() {
    const asked = Number(this.state.get("leading", LEADING));
    return Number.isInteger(asked) && asked >= 1 ? Math.min(asked, this.most) : Math.min(LEADING, this.most);
  }

  /** The signs of the leading variables, of each `-`, `.` or `+`. */
  get signs() {
    return this.state.get("signs").slice(0, this.k).padEnd(this.k, ".");
  }

  get asked() {
    const threshold = this.state.get("threshold");
    return { signs: this.signs, threshold: threshold === "" ? null : Number(threshold) };
  }

  get start() {
    const from = Number(this.state.get("from", 0));
    return Number.isInteger(from) && from >= 0 ? from : 0;
  }

  change(place, sign) {
    const signs = [...this.signs];
    signs[place] = sign;
    this.set(signs.join(""));
  }

  set(signs) {
    this.state.change({ signs: written(signs), from: null });
  }

  typed(input, key, others) {
    const value = Number(input.value);
    if (input.value === "" || !input.checkValidity()) input.value = key === "leading" ? this.k : this.above;
    else this.state.change({ ...others(value), [key]: value, from: null });
  }

  turn(by) {
    this.state.change({ from: Math.max(0, this.start + by) || null });
  }

  update() {
    this.leading.value = this.k;
    const shown = { signs: written(this.signs) };
    this.command.update(KEYS.map((key) => [key, shown[key] ?? this.state.get(key)]).filter(([, value]) => value));
    this.listing.ask({ ...this.asked, start: this.start, count: COUNT });
    const member = this.state.get("member");
    if (member) this.looking.ask({ id: member });
    else {
      this.member = null;
      this.say("member", "");
    }
    this.members.choose(member);
    this.supports.choose(member);
    this.drawMember();
    // Nothing is measured as long as nothing is asked.
    if (member || /[-+]/.test(this.signs)) this.measuring.ask(this.asked);
  }

  show({ told }) {
    const { found, members, support, variables, threshold } = told;
    this.above = threshold;
    if (document.activeElement !== this.threshold) this.threshold.value = threshold;
    this.toggles.show(variables, this.signs);
    this.count.textContent = `${found.n.toLocaleString("en")} of ${told.n.toLocaleString("en")} images, where ${number(found.expected, 1)} are expected of the reference: ${told.reference}`;
    this.range.textContent = members.length ? `${this.start + 1} to ${this.start + members.length}, the furthest inside first` : "none";
    this.marks.textContent = [
      members.some(({ marked }) => marked) ? "In a frame: of the support set." : "",
      members.some(({ blind }) => blind.length) ? "Dashed: of a group that the report calls a model blind to." : "",
    ].join(" ");
    enable(this.back, this.on, [this.start > 0, this.start + members.length < found.n]);
    this.inSupport.textContent = support === null ? "" : supportInWords(support);
    this.pictures(members, support?.images ?? []);
  }

  /** Fetches the pictures of members and of the support set, of the last answer only. */
  async pictures(members, support) {
    const mine = {};
    this.last = mine;
    const ids = [...new Set([...members, ...support].map(({ id }) => id))];
    try {
      const shown = ids.length ? await ask("show", { ids }) : { told: { ids: [] }, files: [] };
      if (this.last !== mine) return;
      this.say("pictures", "");
      const blobs = new Map(shown.told.ids.map((id, i) => [id, shown.files[i]]));
      const readable = ({ id }) => blobs.has(id);
      this.supports.show(support.filter(readable).map(({ id, relaxed, short }) => ({
        id,
        blob: blobs.get(id),
        marked: true,
        words: relaxed ? ["relaxed", `${number(short)} short of the threshold`] : [],
      })));
      this.members.show(members.filter(readable).map(({ id, marked, blind }) => ({
        id,
        blob: blobs.get(id),
        marked,
        words: [...(marked ? ["in the support set"] : []), ...blind.map(({ model, group }) => `${model} is blind to ${group}`)],
        warn: blind.length > 0,
      })));
      const member = this.state.get("member");
      this.members.choose(member);
      this.supports.choose(member);
    } catch (error) {
      if (this.last === mine) this.say("pictures", error.message);
    }
  }

  measured(told, asked) {
    const whole = told.done === told.n && this.typical?.done !== told.n;
    this.typical = told;
    this.drawMember();
    this.drawVerdicts(asked);
    // The rank among all errors is known now.
    if (whole && this.state.get("member")) this.looking.ask({ id: this.state.get("member") });
    if (told.complete) return;
    clearTimeout(this.timer);
    if (told.done < told.n) this.measuring.ask(this.asked);
    else this.timer = setTimeout(() => this.measuring.ask(this.asked), AGAIN);
  }

  /** Goes to the view that moves codes, with that of an image. */
  start_from(id) {
    this.state.change({ view: null, start: "image", image: id, seed: null, moves: null });
  }

  drawMember() {
    this.move.hidden = this.member === null;
    this.figures.show(this.member === null ? [] : picturesOf(this.member, this.typical));
  }

  drawVerdicts(asked) {
    const { done, n, seen, judged, models, reported } = this.typical;
    const typical = models.filter(({ spread }) => spread).map(({ model, spread }) => `${model}: ${spreadInWords(spread)}`);
    this.progress.textContent = done < n
      ? `Typical errors: ${done.toLocaleString("en")} of ${n.toLocaleString("en")} random images are measured.`
      : `Typical errors (mse), on random images. ${typical.join(". ")}. ${seenInWords(seen)}`;
    const lines = judged ? models.map((one) => this.verdict(one)) : [];
    if (!judged && done === n && /[-+]/.test(asked.signs)) {
      lines.push(make("li", {}, untold(this.typical)));
    }
    const said = reported.map(({ model, group, set, signs, here }) => make("li", { class: "warn" },
      `${model} is blind to ${group}${signs && !here ? ` (${shown(signs)})` : ""} of ${set}, says the report`,
      ...(here ? [this.jump(signs, "as the report says", () => this.goTo(signs))] : [])));
    this.verdicts.replaceChildren(...lines, ...said);
  }

  verdict(one) {
    const jumps = one.blind.map(({ signs, excess }) => this.jump(signs, `${number(excess)} times the rest`, () => this.set(signs)));
    return make("li", { class: one.here?.verdict === "blind" ? "warn" : null }, verdictInWords(one), ...jumps);
  }

  /** Goes to a sector of the support set, whose threshold and variables it is of. */
  goTo(signs) {
    const leading = signs.length > this.k ? { leading: signs.length } : {};
    this.state.change({ ...leading, signs, threshold: null, from: null });
  }

  jump(signs, title, onclick) {
    return make("button", { type: "button", title, "aria-label": `Go to the blind sector ${signs}`, onclick }, shown(signs));
  }

  close() {
    clearTimeout(this.timer);
    for (const one of [this.listing, this.looking, this.measuring]) one.close();
    this.last = null;
    for (const one of [this.members, this.supports, this.figures]) one.show([]);
    say("");
  }
}

/** Signs with a minus that is as wide as the plus. */
function shown(signs) {
  return signs.replaceAll("-", "\u2212");
}

/** Signs as a state has them: the last of them that are any are left out. */
function written(signs) {
  return signs.replace(/\.+$/, "");
}

function supportInWords({ n, here, images }) {
  const missing = here < n ? `, ${n - here} of which are not among these images` : "";
  const shown = images.length < here ? `; the first ${images.length}` : "";
  return `${n.toLocaleString("en")} of the support set stand for these signs${missing}${shown}${images.length ? ":" : "."}`;
}

function untold({ complete }) {
  return complete
    ? "Sectors of so many signs have too few images in the sample to tell whether a model is blind to them."
    : "Whether a model is blind to a sector of these signs is being found out.";
}
