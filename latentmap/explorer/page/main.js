// The page: it asks what is explored, and shows the view that the state names.

import { ask } from "./api.js";
import { copying, enable, make } from "./elements.js";
import { State } from "./state.js";
import { say } from "./status.js";
import { viewsOf } from "./views.js";

const state = new State();
const main = document.getElementById("view");
const tabs = document.getElementById("tabs");
const [undo, redo] = ["undo", "redo"].map((id) => document.getElementById(id));
let views = [];
let shown = null;

function spacesInWords({ source, targets, images, trainings }) {
  if (source === null) return trainings.map(({ name }) => name).join(", ");
  const [first, ...others] = [source, ...targets].map(
    ({ name, space, dim }) => `${name} (${space}, ${dim.toLocaleString("en")})`,
  );
  const way = others.length ? ` \u2192 ${others.join(", ")}` : "";
  return `${first}${way} \u00b7 ${images.toLocaleString("en")} images`;
}

function showTabs() {
  tabs.hidden = views.length < 2;
  tabs.replaceChildren(...views.map(({ name, title }) => make("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "view",
    onclick: () => state.change({ view: name === views[0].name ? null : name }),
    onkeydown: (event) => turn(event, name),
  }, title)));
}

/** Arrow keys go from tab to tab, and Home and End to the first and the last. */
function turn(event, name) {
  const at = views.findIndex((view) => view.name === name);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = tabs.children[(to + views.length) % views.length];
  next.focus();
  next.click();
}

function update(spaces) {
  const wanted = views.find(({ name }) => name === state.get("view")) ?? views[0];
  if (shown?.wanted === wanted) {
    shown.view.update();
  } else {
    const inside = main.contains(document.activeElement);
    shown?.view.close();
    say(""); // What was wrong there is not wrong here.
    shown = { wanted, view: new wanted.View(spaces, state) };
    main.replaceChildren(shown.view.element);
    if (inside) main.focus(); // Of a button that led here nothing is left.
    for (const tab of tabs.children) {
      const on = tab.id === `tab-${wanted.name}`;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
    }
  }
  enable(undo, redo, [state.past.length > 0, state.future.length > 0]);
}

/** A file that is dropped would be opened in place of the page: it is an image of one's own. */
function takeFiles() {
  let inside = false; // A picture of the page is a file, too, where it is dragged.
  const isFile = ({ dataTransfer }) => dataTransfer.types.includes("Files");
  addEventListener("dragstart", () => { inside = true; });
  addEventListener("dragend", () => { inside = false; });
  addEventListener("dragover", (event) => { if (isFile(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    if (inside || !views.some(({ name }) => name === "own")) return;
    state.change({ view: "own" });
    shown.view.take(event.dataTransfer.files);
  });
}

function addTools() {
  undo.addEventListener("click", () => state.undo());
  redo.addEventListener("click", () => state.redo());
  copying(document.getElementById("link"), () => `${location.href.split("#")[0]}#${state.text}`);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // The part behind # is the state.
    main.focus();
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input[type=number], input[type=search]");
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || typing) return;
    event.preventDefault();
    if (event.shiftKey) state.redo();
    else state.undo();
  });
}

try {
  const { told } = await ask("describe");
  document.getElementById("spaces").textContent = spacesInWords(told);
  document.title = `${(told.source ?? told.trainings[0]).name} \u2013 latentmap explore`;
  views = viewsOf(told);
  addTools();
  takeFiles();
  showTabs();
  state.listen(() => update(told));
  update(told);
} catch (error) {
  say(error.message);
}
