// Each image is large in a dialog, by a click or by Enter; arrows go on to the others of its figure.

{
  const dialog = document.querySelector("dialog.enlarged");
  const title = dialog.querySelector("h2");
  const words = dialog.querySelector("p");
  const stage = dialog.querySelector(".stage");
  const [previous, next, close] = dialog.querySelectorAll("button");
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  let cell = null;
  let around = null;

  // The image that lies so many rows and images away in a figure, null where there is none.
  const beside = (rows, from, [down, across]) => {
    const row = rows.findIndex((one) => one.includes(from));
    return rows[row + down]?.[rows[row].indexOf(from) + across] ?? null;
  };

  const draw = () => {
    const picture = cell.querySelector("svg");
    const large = picture.cloneNode(true);
    const { width, height } = picture.viewBox.baseVal;
    const fits = Math.min((innerWidth * 0.9 - 40) / width, (innerHeight * 0.9 - 170) / height);
    // Whole multiples repeat pixels, so that nothing is invented.
    const factor = fits >= 2 ? Math.min(Math.floor(fits), Math.max(2, Math.floor(512 / height))) : Math.min(fits, 1);
    large.setAttribute("width", width * factor);
    large.setAttribute("height", height * factor);
    large.setAttribute("class", factor >= 2 ? "whole" : "");
    stage.replaceChildren(large);
    const label = cell.closest(".image-row")?.querySelector(".label").textContent ?? "";
    const figure = cell.closest("figure").querySelector("figcaption b").textContent;
    title.textContent = [figure, label, cell.dataset.caption].filter(Boolean).join(" · ");
    words.textContent = picture.getAttribute("aria-label");
    previous.disabled = beside(around, cell, [0, -1]) === null;
    next.disabled = beside(around, cell, [0, 1]) === null;
    previous.hidden = next.hidden = around.length === 1 && around[0].length === 1;
  };

  const move = (step) => {
    const other = beside(around, cell, step);
    if (other === null) return;
    cell = other;
    draw();
  };

  close.addEventListener("click", () => dialog.close());
  previous.addEventListener("click", () => move([0, -1]));
  next.addEventListener("click", () => move([0, 1]));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => cell.focus());
  dialog.addEventListener("keydown", (event) => {
    if (!steps[event.key]) return;
    event.preventDefault();
    move(steps[event.key]);
  });

  for (const figure of document.querySelectorAll("figure.image-rows, figure.picture")) {
    const lines = figure.matches(".picture") ? [figure] : [...figure.querySelectorAll(".image-row")];
    const rows = lines.map((line) => [...line.querySelectorAll(".cell, .whole")]);
    const all = rows.flat();
    all.forEach((one, number) => {
      const open = () => {
        [cell, around] = [one, rows];
        draw();
        dialog.showModal();
      };
      one.classList.add("enlarging");
      one.setAttribute("role", "button");
      one.setAttribute("aria-haspopup", "dialog");
      // One stop for the tab key; arrows go on from there.
      one.tabIndex = number === 0 ? 0 : -1;
      one.addEventListener("focus", () => {
        for (const other of all) other.tabIndex = other === one ? 0 : -1;
      });
      one.addEventListener("click", open);
      one.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") open();
        else if (steps[event.key]) beside(rows, one, steps[event.key])?.focus();
        else return;
        event.preventDefault();
      });
    });
  }
}
