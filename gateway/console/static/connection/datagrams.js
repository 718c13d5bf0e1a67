// Audio in datagrams, each with its place among all that was sent over the connection: gateway/wire/audio_datagrams.py. Pure.

export const PLACE_BYTES = 12;

const BYTES_PER_SAMPLE = 2;
const MOST_BYTES = 1_200; // no path need carry larger packets (RFC 9000 §14)

export class DatagramPlaces {
  #sequence = 0;
  #sample = 0;
  #pieceBytes;

  /** `mostBytes`: what one datagram may hold. */
  constructor(mostBytes) {
    const audioBytes = Math.min(mostBytes, MOST_BYTES) - PLACE_BYTES;
    this.#pieceBytes = audioBytes - (audioBytes % BYTES_PER_SAMPLE);
  }

  /** Whether a datagram can hold any audio. */
  static fits(mostBytes) {
    return mostBytes >= PLACE_BYTES + BYTES_PER_SAMPLE;
  }

  /** The datagrams for 16-bit audio of one channel, as few as can be and of like size. */
  cut(bytes) {
    const numPieces = Math.ceil(bytes.length / this.#pieceBytes);
    const samples = Math.ceil(bytes.length / BYTES_PER_SAMPLE / Math.max(1, numPieces));
    const datagrams = [];
    for (let at = 0; at < bytes.length; at += samples * BYTES_PER_SAMPLE) {
      const audio = bytes.subarray(at, at + samples * BYTES_PER_SAMPLE);
      const datagram = new Uint8Array(PLACE_BYTES + audio.length);
      this.#writePlace(datagram);
      datagram.set(audio, PLACE_BYTES);
      datagrams.push(datagram);
      this.#sequence += 1;
      this.#sample += audio.length / BYTES_PER_SAMPLE;
    }
    return datagrams;
  }

  /** Says on the stream which audio was sent before it. */
  mark() {
    const mark = new Uint8Array(PLACE_BYTES);
    this.#writePlace(mark);
    return mark;
  }

  #writePlace(bytes) {
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.#sequence);
    view.setBigUint64(4, BigInt(this.#sample));
  }
}
