// Audio that did not arrive: how much in all, and what to say where it happened. Pure.
//
// Where packets are lost one by one, a remark for each would bury the words: one is made for each sentence.

const AT_ONCE_MS = 1_000; // so much need not wait for the sentence's end

export class LostAudio {
  #unsaidMs = 0;
  #lostMs = 0;

  /** What to say now; "" where it can wait. Of audio that is sent again after all, more may be told than was lost. */
  lost({ start_ms: startMs, end_ms: endMs }) {
    this.#lostMs += endMs - startMs;
    this.#unsaidMs += endMs - startMs;
    return this.#unsaidMs >= AT_ONCE_MS ? this.unsaid() : "";
  }

  /** What was not said yet; "" where there is nothing. */
  unsaid() {
    const ms = this.#unsaidMs;
    this.#unsaidMs = 0;
    return ms ? `${inWords(ms)} of audio did not arrive; words may be missing` : "";
  }

  /** In all, with its share of so much audio; "" where nothing was lost. */
  total(audioMs) {
    if (!this.#lostMs) return "";
    return audioMs > 0 ? `${inWords(this.#lostMs)} (${((100 * this.#lostMs) / audioMs).toFixed(1)} %)` : inWords(this.#lostMs);
  }
}

function inWords(ms) {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
