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

// The texts to copy are in the page, as they were written with it.
{
  const dialog = document.querySelector("dialog.copying");
  const text = dialog.querySelector("textarea");
  dialog.querySelector("button").addEventListener("click", () => dialog.close());

  for (const table of document.querySelectorAll(".table")) {
    const buttons = [...table.querySelectorAll(".copy button")];
    const texts = [...table.querySelectorAll("template")];
    const said = table.querySelector("output");
    table.querySelector(".tools").hidden = false;
    buttons.forEach((button, number) => {
      button.addEventListener("click", async () => {
        text.value = texts[number].content.textContent;
        try {
          await navigator.clipboard.writeText(text.value);
          said.textContent = `copied as ${button.textContent}`;
          setTimeout(() => { said.textContent = ""; }, 3000);
        } catch {
          // A page of an unsafe address has no clipboard: there the text is to be copied by hand.
          dialog.showModal();
          text.select();
        }
      });
    });
  }
}

// What is wider than its place can be reached by the keyboard, and says so.
{
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const wide = target.scrollWidth > target.clientWidth + 1;
      const high = target.scrollHeight > target.clientHeight + 1;
      target.classList.toggle("scrolls", wide);
      if (wide || high) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
      const hint = target.parentElement.querySelector(":scope > .tools .hint, :scope > .hint");
      if (hint) hint.hidden = !wide;
    }
  });
  for (const one of document.querySelectorAll(".scroll")) observer.observe(one);
}
