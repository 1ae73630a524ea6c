// What is asked of the server. An answer is {told, files, arrays}: its head, a Blob for each picture,
// and a Float32Array for each array.

const parts = crypto.getRandomValues(new Uint32Array(4));
const client = [...parts].map((part) => part.toString(16)).join("");
const AGAIN = 2000; // Milliseconds after which a server that was not there is asked again.
const AWAY = "The explorer does not answer: is it still running? It is asked again.";
let number = 0;

/** What the server refuses, in its words. */
export class Refusal extends Error {}

/** The answer to one question; null where a newer one was asked in the meantime. */
export async function ask(action, asked = {}) {
  number += 1;
  const reply = await fetch(`api/${action}`, {
    method: "POST",
    body: JSON.stringify({ client, number, asked }),
  });
  if (reply.status === 204) return null;
  if (!reply.ok) throw new Refusal((await reply.json()).error);
  return read(await reply.arrayBuffer());
}

/**
 * The answer to one question, whatever else is asked, and as soon as the server is there; null where
 * `wanted()` has become false. `onfault` gets a text, which is empty when all is well again.
 */
export async function insist(action, asked, wanted, onfault) {
  while (wanted()) {
    try {
      const answer = await ask(action, asked);
      onfault("");
      if (answer !== null) return wanted() ? answer : null;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      onfault(AWAY);
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
  return null;
}

/** The answer to the file of an image. */
export async function send(file) {
  let reply;
  try {
    reply = await fetch("upload", { method: "POST", body: file });
  } catch {
    throw new Refusal("The image could not be sent: is the explorer still running?");
  }
  if (!reply.ok) throw new Refusal((await reply.json()).error);
  return read(await reply.arrayBuffer());
}

function read(letter) {
  const length = new DataView(letter).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(letter, 4, length)));
  let start = 4 + length;
  const files = told.files.map((file) => {
    const blob = new Blob([letter.slice(start, start + file.length)], { type: file.type });
    start += file.length;
    return blob;
  });
  const arrays = told.arrays.map((size) => {
    const numbers = new Float32Array(letter.slice(start, start + size)); // As all machines that have browsers.
    start += size;
    return numbers;
  });
  return { told, files, arrays };
}

/**
 * Asks one action again and again: one question is under way, and of those that come meanwhile the
 * last is asked next. `onanswer` gets the answer and what was asked, `onfault` a text, which is
 * empty when all is well again.
 */
export class Latest {
  constructor(action, onanswer, onfault) {
    this.action = action;
    this.onanswer = onanswer;
    this.onfault = onfault;
    this.wanted = null;
    this.busy = false;
    this.closed = false;
  }

  ask(asked) {
    this.wanted = asked;
    if (!this.busy) this.run();
  }

  close() {
    this.closed = true;
  }

  async run() {
    this.busy = true;
    while (this.wanted !== null && !this.closed) {
      const asked = this.wanted;
      this.wanted = null;
      try {
        const answer = await ask(this.action, asked);
        if (this.closed) return;
        this.onfault("");
        if (answer !== null) this.onanswer(answer, asked);
      } catch (error) {
        if (error instanceof Refusal) {
          this.onfault(error.message);
          continue;
        }
        this.onfault(AWAY);
        this.wanted = this.wanted ?? asked;
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
    this.busy = false;
  }
}
