// Runs in the audio thread: collects the microphone's samples into pieces and hands them over as 16-bit PCM.

class Collector extends AudioWorkletProcessor {
  #piece;
  #length = 0;
  #isOver = false;

  constructor({ processorOptions: { pieceSamples } }) {
    super();
    this.#piece = new Int16Array(pieceSamples);
    this.port.onmessage = () => {
      this.#isOver = true;
      this.#hand();
      this.port.postMessage(null); // that was the last
    };
  }

  process([channels]) {
    if (this.#isOver) return false;
    const samples = channels[0];
    if (!samples) return true; // nothing is connected yet
    for (let at = 0; at < samples.length; at += 1) {
      let value = 0;
      for (const channel of channels) value += channel[at];
      value = Math.round((value / channels.length) * 32_768);
      this.#piece[this.#length] = Math.min(32_767, Math.max(-32_768, value));
      this.#length += 1;
      if (this.#length === this.#piece.length) this.#hand();
    }
    return true;
  }

  #hand() {
    if (!this.#length) return;
    const piece = this.#piece.slice(0, this.#length);
    this.port.postMessage(piece, [piece.buffer]);
    this.#length = 0;
  }
}

registerProcessor("patchbay-collector", Collector);
