// Messages on a stream of bytes, as WebTransport carries the protocol: gateway/wire/stream_messages.py. Pure.

export const TEXT = 1;
export const AUDIO = 2;
export const MARK = 3;

const HEADER_BYTES = 4;
const MAX_PAYLOAD_BYTES = 2 ** 24 - 1;

/** What arrived is no message, or one that is longer than is allowed. */
export class FrameFault extends Error {}

/** The message as bytes: the kind, the payload's length in three bytes, the payload. */
export function encodeFrame(kind, payload) {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new RangeError(`${payload.length} bytes are more than a message can hold`);
  const frame = new Uint8Array(HEADER_BYTES + payload.length);
  new DataView(frame.buffer).setUint32(0, kind * 2 ** 24 + payload.length);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Puts messages together from pieces that are cut anywhere. */
export class FrameReader {
  #longest;
  #rest = new Uint8Array(0);

  constructor(longestBytes) {
    this.#longest = longestBytes;
  }

  /** The messages that are whole by now, as {kind, payload}. Throws FrameFault. */
  take(piece) {
    let bytes = piece;
    if (this.#rest.length) {
      bytes = new Uint8Array(this.#rest.length + piece.length);
      bytes.set(this.#rest);
      bytes.set(piece, this.#rest.length);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const messages = [];
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const head = view.getUint32(at);
      const length = head % 2 ** 24;
      if (length > this.#longest) throw new FrameFault(`a message of ${length} bytes is longer than is allowed`);
      if (bytes.length - at - HEADER_BYTES < length) break;
      const begin = at + HEADER_BYTES;
      messages.push({ kind: Math.floor(head / 2 ** 24), payload: bytes.slice(begin, begin + length) });
      at = begin + length;
    }
    this.#rest = bytes.slice(at);
    return messages;
  }

  /** Whether the stream may end here. */
  get isBetweenMessages() {
    return this.#rest.length === 0;
  }
}
