// How long words take, measured from when they were spoken. Pure: time is an argument, in elapsed milliseconds.
//
// A piece of audio is handed over when its last sample was spoken, so any place in it has a time of its own.

const MOST_PIECES = 12_000; // four minutes in pieces of 20 ms

export class Timing {
  #pieces = []; // {endMs of the audio, atMs}
  #speechAtMs = null; // of the utterance that has no partial yet
  #final = null; // {endMs, heardAtMs} that waits for the reason of its end
  #askedAtMs = null; // for a final: finalize or finish

  constructor() {
    this.firstPartialMs = [];
    /** {ms, after}: after "speech", or after it was "asked" for. */
    this.finals = [];
  }

  audioSpoken(endMs, atMs) {
    this.#pieces.push({ endMs, atMs });
    if (this.#pieces.length > MOST_PIECES) this.#pieces.shift();
  }

  finalAsked(atMs) {
    this.#askedAtMs = atMs;
  }

  /** A message of the server, once each. */
  hear(message, atMs) {
    switch (message.type) {
      case "speech_started":
        this.#speechAtMs = this.#spokenAt(message.at_ms);
        break;
      case "partial":
        if (this.#speechAtMs !== null && message.text) this.#note(this.firstPartialMs, atMs - this.#speechAtMs);
        if (message.text) this.#speechAtMs = null;
        break;
      case "final":
        this.#speechAtMs = null;
        this.#final = { endMs: message.end_ms, heardAtMs: atMs };
        break;
      case "utterance_end":
        this.#ended(message.reason);
        break;
    }
  }

  #ended(reason) {
    const final = this.#final;
    this.#final = null;
    if (!final) return;
    if (reason === "finalize" || reason === "finish") {
      if (this.#askedAtMs !== null) this.finals.push({ ms: Math.max(0, final.heardAtMs - this.#askedAtMs), after: "asked" });
      return;
    }
    const spokenAtMs = this.#spokenAt(final.endMs);
    if (spokenAtMs !== null) this.finals.push({ ms: Math.max(0, final.heardAtMs - spokenAtMs), after: "speech" });
  }

  #note(list, ms) {
    list.push(Math.max(0, ms));
  }

  /** When this place was spoken; null: it is not known any more, or not yet. */
  #spokenAt(audioMs) {
    const piece = this.#pieces.find(({ endMs }) => audioMs <= endMs);
    return piece ? piece.atMs - (piece.endMs - audioMs) : null;
  }
}

/** The middle one; null of none. */
export function median(numbers) {
  if (!numbers.length) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
