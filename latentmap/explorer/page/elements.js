// Elements of the page, made without markup, so that no name can be taken for it.

/** An element with attributes, handlers (`onclick`) and children, which are elements or texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * Puts other children in an element; a focus in it goes to the one with the same `data-id`, else to the
 * first button, so that keys go on from there.
 */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  element.replaceChildren(...children);
  if (focused === null) return;
  const same = [...element.querySelectorAll("[data-id]")].find(({ dataset }) => dataset.id === focused.dataset.id);
  (same ?? element.querySelector("button"))?.focus({ preventScroll: true });
}

/** Lets two buttons be pressed or not; the focus of one that cannot be any more goes to the other. */
export function enable(first, second, [one, two]) {
  const focused = [first, second].find((button) => button === document.activeElement);
  [first.disabled, second.disabled] = [!one, !two];
  if (focused?.disabled) (focused === first ? second : first).focus();
}

/** Lets a picture in memory go, a while later: a browser complains where one is gone that it reads. */
export function release(address) {
  if (address) setTimeout(() => URL.revokeObjectURL(address), 2000);
}

/** Gives a file to the browser to be saved. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  release(address);
}

/**
 * A button that copies what `text()` gives, and says so for a while; hidden where a browser lets no
 * page copy, as on an address that is not encrypted on another machine.
 */
export function copying(button, text) {
  const title = button.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = title; }, 1500);
  });
  return button;
}

/** A number as people read it. */
export function number(value, digits = 2) {
  return value.toFixed(digits).replace("-", "\u2212");
}
