"use strict";

// Without scripts everything can be read; they add the theme, keys in heat maps, and motion,
// the sorting and copying of tables, and large pictures.

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

// A narrow window shows the content first.
{
  const contents = document.querySelector(".contents details");
  const narrow = window.matchMedia("(max-width: 34rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
}

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
