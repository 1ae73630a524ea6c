// What is asked of the server. An answer is {told, files, arrays}: its head, a Blob for each picture,
// and a Float32Array for each array.

const parts = crypto.getRandomValues(new Uint32Array(4));
const client = [...parts].map((part) => part.toString(16)).join("");
const AGAIN = 2000; // Milliseconds after which a server that was not there is asked again.
const SENT = "The explorer does not answer: is it still running?";
const AWAY = `${SENT} It is asked again.`;
let number = 0;

/** What the server refuses, in its words. */
class Refusal extends Error {}

/** That nothing came back, or not from the explorer. */
class Away extends Error {}

/** The answer to one question, whatever else is asked. */
export function ask(action, asked = {}) {
  number += 1;
  return question(action, asked, `${client}-${number}`);
}

/** As a `who`, of whose questions to one action the server answers the last: null to those before. */
function question(action, asked, who) {
  return exchange(`api/${action}`, JSON.stringify({ client: who, number, asked }));
}

/**
 * The answer to one question, as soon as the server is there; null where `wanted()` has become false.
 * `onfault` gets a text, which is empty when all is well again.
 */
export async function insist(action, asked, wanted, onfault) {
  while (wanted()) {
    try {
      const answer = await ask(action, asked);
      if (!wanted()) return null;
      onfault("");
      return answer;
    } catch (error) {
      if (!(error instanceof Away)) throw error;
      if (!wanted()) return null;
      onfault(AWAY);
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
  return null;
}

/** The answer to the file of an image. */
export function send(file) {
  return exchange("upload", file);
}

async function exchange(address, body) {
  let reply, letter;
  try {
    reply = await fetch(address, { method: "POST", body });
    letter = await reply.arrayBuffer();
  } catch {
    throw new Away(SENT);
  }
  if (reply.status === 204) return null;
  if (!reply.ok) throw faultOf(letter);
  const answer = read(letter);
  if (answer.told.refused) throw new Refusal(answer.told.refused);
  return answer;
}

function faultOf(letter) {
  try {
    return new Refusal(JSON.parse(new TextDecoder().decode(letter)).error);
  } catch {
    return new Away(SENT); // What stands between has answered.
  }
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
      number += 1;
      let answer;
      try {
        answer = await question(this.action, asked, client);
      } catch (error) {
        if (this.closed) break;
        if (!(error instanceof Away)) {
          this.onfault(error.message);
          continue;
        }
        this.onfault(AWAY);
        this.wanted = this.wanted ?? asked;
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
        continue;
      }
      if (this.closed) break;
      this.onfault("");
      if (answer !== null) this.show(answer, asked);
    }
    this.busy = false;
  }

  /** A fault of the page is none of the server, which need not be asked again. */
  show(answer, asked) {
    try {
      this.onanswer(answer, asked);
    } catch (error) {
      this.onfault("The page could not show the answer: choose something else, or load it again.");
      reportError(error);
    }
  }
}
