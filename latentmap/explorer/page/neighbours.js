// The images nearest to the one that is taken, in the spaces of the source and the targets side by
// side; those that are near in the source too are marked.

import { Latest } from "./api.js";
import { make, release, replace } from "./elements.js";
import { say } from "./status.js";

const COUNT = 8;

export class Neighbours {
  /** `onpick(id)` takes another image; `onfound(told)` gets what was found, null for nothing. */
  constructor(onpick, onfound) {
    this.onpick = onpick;
    this.onfound = onfound;
    this.id = null;
    this.addresses = [];
    this.image = make("img", { alt: "", hidden: true }); // Of the one that is taken.
    this.latest = new Latest("near", (answer) => this.show(answer), say);
    this.element = make("div", { class: "near", role: "group", "aria-label": "Nearest images" });
  }

  /** Follows the image that is taken, null where none is. */
  follow(id) {
    if (id === this.id) return;
    this.id = id;
    if (id !== null) {
      this.latest.ask({ id, count: COUNT });
      return;
    }
    this.clear();
    this.onfound(null);
  }

  clear() {
    this.release();
    this.image.hidden = true;
    this.element.replaceChildren();
  }

  release() {
    for (const address of this.addresses.splice(0)) release(address);
  }

  show({ told, files }) {
    if (told.id !== this.id) return;
    this.release();
    this.addresses = files.map((file) => URL.createObjectURL(file));
    const pictures = new Map(told.shown.map((id, i) => [id, this.addresses[i]]));
    this.image.hidden = !pictures.has(told.id);
    if (!this.image.hidden) this.image.src = pictures.get(told.id);
    const first = new Set(told.spaces[0].ids);
    const all = told.spaces[0].among;
    const note = make("p", { class: "note" }, `Nearest of ${all.toLocaleString("en")} images, by the distance of codes.`);
    replace(this.element, note, ...told.spaces.map((space, i) => this.space(space, all, i > 0 ? first : null, told.spaces[0].model, pictures)));
    this.onfound(told);
  }

  space({ model, known, among, ids, distances }, all, first, source, pictures) {
    const shared = first === null ? 0 : ids.filter((id) => first.has(id)).length;
    const fewer = among < all ? `, of ${among.toLocaleString("en")} that have codes here` : "";
    const words = !known ? "no code of its own of this image"
      : first === null ? "the source" : `${shared} of ${ids.length} near in ${source} too${fewer}`;
    const buttons = ids.map((id, i) => {
      const too = first !== null && first.has(id);
      const name = `${id}, distance ${distances[i].toPrecision(3)}${too ? `, near in ${source} too` : ""}`;
      const image = make("img", { src: pictures.get(id) ?? null, alt: "" });
      return make("button", {
        type: "button", title: name, "aria-label": `Take ${name}`, class: too ? "shared" : null, "data-id": id,
        onclick: () => this.onpick(id),
      }, image);
    });
    return make("section", { class: "space", "aria-label": `Nearest in ${model}` },
      make("h2", {}, model, " ", make("span", { class: "note" }, words)),
      make("div", { class: "thumbnails" }, ...buttons));
  }

  close() {
    this.latest.close();
    this.clear();
  }
}
