// The view "Your own image": an image that is sent, what every model makes of it, and how far
// outside of the fitted codes it is.

import { Latest, send } from "./api.js";
import { Command } from "./command.js";
import { make, number } from "./elements.js";
import { Figures } from "./figures.js";
import { remember, rememberAll } from "./own_files.js";
import { say } from "./status.js";

const ROLES = { source: "its own code", mapped: "mapped", own: "its own code" };

export class OwnView {
  constructor(space, state) {
    this.space = space;
    this.state = state;
    this.asked = null;
    this.closed = false;
    this.latest = new Latest("own", (answer) => this.show(answer), say);
    this.figures = new Figures("Images of your own image");
    this.words = make("div", { class: "typicality" });
    this.file = make("input", { type: "file", id: "own-file", accept: "image/*", onchange: () => this.take(this.file.files) });
    this.drop = make("div", { class: "drop" },
      make("label", { for: "own-file" }, "Drop an image here, or choose one:"), this.file,
      make("p", { class: "note" }, "It stays on the machine where the explorer runs, in memory alone."));
    const button = (text, onclick) => make("button", { type: "button", onclick }, text);
    this.uses = make("div", { class: "row", hidden: true },
      button("Move its code", () => state.change({ view: null, start: "upload", upload: this.id, image: null, seed: null, moves: null })),
      button("As A of a line", () => this.use("a")),
      button("As B of a line", () => this.use("b")),
    );
    rememberAll(space.own);
    this.command = new Command(space.command);
    this.element = make("div", { class: "own" },
      this.drop, this.figures.element, this.words, this.uses, this.command.element);
    // What is dropped anywhere on the page is given to `take`.
    this.handlers = {
      dragover: () => this.drop.classList.add("over"),
      dragleave: () => this.drop.classList.remove("over"),
      drop: () => this.drop.classList.remove("over"),
    };
    for (const [name, handler] of Object.entries(this.handlers)) addEventListener(name, handler);
    this.update();
  }

  get id() {
    return this.state.get("upload", this.space.own[0]?.upload);
  }

  use(end) {
    this.state.change({ view: "line", [end]: new URLSearchParams({ start: "upload", upload: this.id }).toString() });
  }

  update() {
    if (this.asked === this.id) return;
    this.look();
  }

  look() {
    this.asked = this.id;
    this.command.show(this.id);
    this.command.update({ view: "own", upload: this.id }, [this.id]);
    if (this.id) this.latest.ask({ upload: this.id });
    else this.clear();
  }

  clear() {
    this.figures.show([]);
    this.words.replaceChildren();
    this.uses.hidden = true;
  }

  async take([file]) {
    if (!file) return;
    const most = this.space.most_bytes;
    if (file.size > most) {
      say(`An image has ${most.toLocaleString("en")} bytes at most, and this one has ${file.size.toLocaleString("en")}.`);
      return;
    }
    try {
      const answer = await send(file);
      say("");
      if (answer === null || this.closed) return;
      const { upload } = answer.told;
      remember(upload, file.name);
      if (upload !== this.id) this.state.change({ upload });
      else this.look(); // One that was gone is there again.
    } catch (error) {
      say(error.message);
    } finally {
      this.file.value = "";
    }
  }

  show({ told, files }) {
    if (told.upload !== this.id) return;
    const pictures = told.pictures.map(({ role, model, mse, error, outside }, i) => ({
      key: `${role} ${model} ${i}`,
      caption: model,
      note: [
        `${ROLES[role]}, mse ${error.toPrecision(3)} to the image`,
        mse === null ? "" : `, ${mse.toPrecision(3)} to its own`,
      ].join(""),
      warn: outside === true,
      blob: files[i + 1],
      ...told.files[i + 1],
    }));
    const seen = `as ${this.space.source.name} sees it`;
    this.figures.show([{ key: "original", caption: "your image", note: seen, blob: files[0], ...told.files[0] }, ...pictures]);
    this.words.replaceChildren(
      ...this.places(told.typicality),
      ...told.without.map((name) => make("p", { class: "note" }, `${name} has no encoder, and no code of it.`)),
    );
    this.uses.hidden = !told.usable;
  }

  /** How far outside the code is, in words; maps of the same fitted codes say the same. */
  places(typicality) {
    const alike = new Map();
    for (const { model, ...rest } of typicality) {
      const key = JSON.stringify(rest);
      alike.set(key, [...(alike.get(key) ?? []), model]);
    }
    return [...alike].map(([key, models]) => this.place(models.join(" and "), JSON.parse(key)));
  }

  place(models, { distance, nearer, limit, outside }) {
    const said = {
      true: "Outside: the map guesses.",
      false: "Inside.",
      null: "Too few codes were fitted on to say whether that is outside.",
    }[outside];
    const most = limit === null ? "" : ` 99 % of such codes are within ${number(limit)}.`;
    return make("p", { class: outside === true ? "warn" : null },
      make("b", {}, `To ${models}: `),
      `${number(distance)} from the mean of the codes that the map was fitted on, `,
      `${number(100 * nearer, 1)} % of which are nearer.${most} ${said}`);
  }

  close() {
    this.closed = true;
    this.latest.close();
    this.figures.show([]);
    for (const [name, handler] of Object.entries(this.handlers)) removeEventListener(name, handler);
  }
}
