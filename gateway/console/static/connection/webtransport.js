// One connection over WebTransport: a bidirectional stream of framed messages, and audio in datagrams where that is wanted.
//
// A browser sees neither the status of a refusal nor has it a deadline of its own, so the deadline is here.

import { within } from "./deadline.js";
import { DatagramPlaces } from "./datagrams.js";
import { AUDIO, MARK, TEXT, FrameReader, encodeFrame } from "./frames.js";

const LONGEST_MESSAGE_BYTES = 4 * 2 ** 20; // of the server: a final with the words of half a minute has some 4 KB
const LEAVING_CODE = 1001; // as of WebSocket
const DONE_CODE = 1000;

export function isSupported() {
  return typeof WebTransport === "function";
}

/**
 * Open a session. `hear` gets each message of the server as its JSON text. `inDatagrams`: audio goes in them, if the
 * server takes any; then `inDatagrams` of the connection is true.
 * Rejects where none can be had within the deadline.
 */
export async function openWebTransport({ url, hashes = [], inDatagrams = false }, { deadlineMs, hear }) {
  const certificates = hashes.map((hex) => ({ algorithm: "sha-256", value: bytesOf(hex) }));
  const transport = new WebTransport(url, certificates.length ? { serverCertificateHashes: certificates } : {});
  transport.closed.catch(() => {}); // told by whenClosed, or by `ready` before that
  try {
    const stream = await within(deadlineMs, opened(transport), "a WebTransport session");
    const lane = inDatagrams && DatagramPlaces.fits(transport.datagrams.maxDatagramSize) ? new DatagramLane(transport.datagrams) : null;
    return new StreamConnection(transport, stream, { url, hear, lane });
  } catch (error) {
    close(transport, LEAVING_CODE, "");
    throw error;
  }
}

async function opened(transport) {
  await transport.ready;
  return transport.createBidirectionalStream();
}

class StreamConnection {
  name = "webtransport";
  #transport;
  #writer;
  #lane;
  #text = new TextEncoder();

  constructor(transport, stream, { url, hear, lane }) {
    this.url = url;
    this.inDatagrams = lane !== null;
    this.#transport = transport;
    this.#lane = lane;
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {});
    const reading = this.#read(stream.readable.getReader(), hear);
    /** Resolves once with {code, reason} when the session is over; code null: it was lost. All messages came before. */
    this.whenClosed = reading.then(() => this.#closed());
  }

  /** Waits while the gateway holds us back. `isAfterAudio`: it is about all audio that was sent before it. */
  async sendText(text, { isAfterAudio = false } = {}) {
    if (isAfterAudio && this.#lane) await this.#send(MARK, this.#lane.mark());
    await this.#send(TEXT, this.#text.encode(text));
  }

  async sendAudio(bytes) {
    if (this.#lane) await this.#lane.send(bytes);
    else await this.#send(AUDIO, bytes);
  }

  close() {
    close(this.#transport, DONE_CODE, "");
  }

  async #send(kind, payload) {
    await this.#writer.ready;
    await this.#writer.write(encodeFrame(kind, payload));
  }

  async #read(reader, hear) {
    const frames = new FrameReader(LONGEST_MESSAGE_BYTES);
    const text = new TextDecoder();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        for (const { kind, payload } of frames.take(value)) if (kind === TEXT) hear(text.decode(payload));
      }
    } catch {
      close(this.#transport, LEAVING_CODE, ""); // the session ended, or what came is no message
    }
  }

  async #closed() {
    try {
      const { closeCode, reason } = await within(5_000, this.#transport.closed, "the end of the session");
      return { code: closeCode, reason };
    } catch {
      close(this.#transport, LEAVING_CODE, "");
      return { code: null, reason: "" };
    }
  }
}

/** Sends audio that is not sent again when it is lost. */
class DatagramLane {
  #places;
  #writer;

  constructor(datagrams) {
    this.#places = new DatagramPlaces(datagrams.maxDatagramSize);
    this.#writer = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
    this.#writer.closed.catch(() => {});
  }

  /** Resolves when all have left the page, so that a mark after it does not come long before them. */
  async send(bytes) {
    for (const datagram of this.#places.cut(bytes)) {
      await this.#writer.ready;
      await this.#writer.write(datagram);
    }
  }

  mark() {
    return this.#places.mark();
  }
}

function close(transport, closeCode, reason) {
  try {
    transport.close({ closeCode, reason });
  } catch {
    // Closed already.
  }
}

function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
