// The one line that says what is wrong, until it is not.

const line = document.getElementById("status");

export function say(text) {
  if (line.textContent !== text) line.textContent = text;
}
