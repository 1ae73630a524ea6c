// The whole state of the page: texts by their keys, as they stand behind the # of its address.

const MOST_STEPS = 500; // That can be undone.
const SETTLED = 250; // Milliseconds without a change after which the address is written.

export class State {
  constructor() {
    this.listeners = new Set();
    this.past = [];
    this.future = [];
    this.gesture = null;
    this.load(location.hash);
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === this.text) return;
      this.remember(this.text);
      this.load(location.hash);
      this.tell();
    });
  }

  load(hash) {
    this.values = new Map(new URLSearchParams(hash.replace(/^#/, "")));
  }

  /** The state as a text. */
  get text() {
    return new URLSearchParams([...this.values]).toString();
  }

  get(key, otherwise = "") {
    return this.values.get(key) ?? otherwise;
  }

  /**
   * Sets some keys, and removes those that are null. Changes of one `gesture`, such as the drag of a
   * slider, are undone together, until `settle` ends it. Where all is as it was, nothing has happened.
   */
  change(changes, gesture = null) {
    const before = this.text;
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === "") this.values.delete(key);
      else this.values.set(key, String(value));
    }
    if (this.text === before) return;
    if (gesture === null || gesture !== this.gesture) this.remember(before);
    this.gesture = gesture;
    this.tell();
  }

  settle() {
    this.gesture = null;
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.text);
    this.load(from.pop());
    this.gesture = null;
    this.tell();
  }

  remember(text) {
    this.past.push(text);
    if (this.past.length > MOST_STEPS) this.past.shift();
    this.future = [];
  }

  /** Calls `listener` after every change; gives what ends that. */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell() {
    clearTimeout(this.timer);
    // Browsers refuse an address that is written too often.
    this.timer = setTimeout(() => history.replaceState(null, "", `#${this.text}`), SETTLED);
    for (const listener of this.listeners) listener();
  }
}
