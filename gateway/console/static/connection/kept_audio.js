// Audio that may have to be sent again: everything after the last `ack`, and what was not sent yet. Bounded. Pure.

export const RATE_HZ = 16_000;

export class KeptAudio {
  #mostSamples;
  #pieces = []; // {first, samples}, one after the other without gaps

  constructor(mostMs) {
    this.#mostSamples = (mostMs * RATE_HZ) / 1_000;
    /** The first sample that is still kept, and the one after the last. */
    this.first = 0;
    this.end = 0;
  }

  /** Int16Array at 16 kHz. False: there is no room, and nothing was taken. */
  push(samples) {
    if (this.end - this.first + samples.length > this.#mostSamples) return false;
    this.#pieces.push({ first: this.end, samples });
    this.end += samples.length;
    return true;
  }

  hasRoomFor(numSamples) {
    return this.end - this.first + numSamples <= this.#mostSamples;
  }

  /** At most so many samples from this one on; empty: there are none yet. Throws RangeError: they were let go of. */
  from(sample, mostSamples) {
    if (sample < this.first) throw new RangeError(`sample ${sample} is not kept any more`);
    const piece = this.#pieces.find((each) => sample < each.first + each.samples.length);
    if (!piece) return new Int16Array(0);
    const begin = sample - piece.first;
    return piece.samples.subarray(begin, begin + mostSamples);
  }

  /** What lies before the sample is done with. */
  release(sample) {
    this.first = Math.max(this.first, Math.min(sample, this.end));
    while (this.#pieces.length && this.#pieces[0].first + this.#pieces[0].samples.length <= this.first) this.#pieces.shift();
  }
}
