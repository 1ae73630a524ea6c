"use strict";

// Without this script everything can be read; it adds sorting, the theme, keys in heat maps, and motion.

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sortRows(table.tBodies[0], column, down);
    });
  });
}

function sortRows(body, column, down) {
  const key = (row) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });
  const rows = [...body.rows].map((row) => [key(row), row]);
  // What has no value is last in both directions.
  rows.sort(([a], [b]) =>
    a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b)
  );
  body.append(...rows.map(([, row]) => row));
}

const theme = document.getElementById("theme");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();

for (const figure of document.querySelectorAll("figure.heat")) {
  const readout = figure.querySelector(".readout");
  const links = [...figure.querySelectorAll(".heat-map a")];
  const say = (link) => { readout.textContent = link.getAttribute("aria-label"); };
  const place = (link) => [link.closest("tr").rowIndex, link.closest("td").cellIndex];
  readout.hidden = false;
  links.forEach((link, number) => {
    // One stop for the tab key; arrows go on from there.
    link.tabIndex = number === 0 ? 0 : -1;
    link.addEventListener("mouseenter", () => say(link));
    link.addEventListener("focus", () => {
      for (const other of links) other.tabIndex = other === link ? 0 : -1;
      say(link);
    });
    link.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const table = link.closest("table");
      let [row, column] = place(link);
      do {
        row += step[0];
        column += step[1];
        const next = table.rows[row]?.cells[column];
        if (!next) return;
        const target = next.querySelector("a");
        if (target) return target.focus();
      } while (true);
    });
  });
}

for (const figure of document.querySelectorAll("figure.film")) {
  const discs = JSON.parse(figure.dataset.discs);
  const moments = JSON.parse(figure.dataset.moments);
  const circles = figure.querySelectorAll(":scope > svg circle");
  const controls = figure.querySelector(".controls");
  const [play, slider, output] = controls.children;
  let timer = null;
  const show = (number) => {
    discs[number].forEach(([x, y, radius], place) => {
      circles[place].setAttribute("cx", x);
      circles[place].setAttribute("cy", y);
      circles[place].setAttribute("r", radius);
    });
    slider.value = number;
    slider.setAttribute("aria-valuetext", moments[number]);
    output.textContent = moments[number];
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  controls.hidden = false;
  show(moments.length - 1);
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (Number(slider.value) === moments.length - 1) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next < moments.length) show(next);
      else stop();
    }, 80);
  });
}
