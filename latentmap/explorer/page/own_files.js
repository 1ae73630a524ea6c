// The files of images of one's own, as commands name them: those that the explorer was started with,
// and those that this page has sent. The server knows no other name, and a page that is loaded again
// has forgotten it.

const UNNAMED = "FILE";
const PLAIN = /^[\w@%+=:,./-]+$/; // What no shell reads anything else in.
const names = new Map();

/** Remembers those {upload, file} that the explorer was started with. */
export function rememberAll(given) {
  for (const { upload, file } of given) remember(upload, file);
}

/** Remembers the name of the file of an image by its id; one that looks like an option is none. */
export function remember(id, name) {
  names.set(id, name.startsWith("-") ? `./${name}` : name);
}

/** A word of a command line. */
export function quoted(word) {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** What a command says of the images of some ids. */
export function wordsOf(ids) {
  return [...new Set(ids)].map((id) => ` --image ${names.has(id) ? quoted(names.get(id)) : UNNAMED}`).join("");
}

/** Whether the names of all of these are known. */
export function areNamed(ids) {
  return ids.every((id) => names.has(id));
}
