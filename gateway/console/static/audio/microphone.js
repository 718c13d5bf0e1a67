// The microphone as 16 kHz PCM16 in pieces.

import { within } from "../connection/deadline.js";
import { RATE_HZ } from "../connection/kept_audio.js";

const FLUSH_MS = 1_000;
const RESUME_MS = 3_000;

/** The microphone cannot be had; `title` and `text` say why and what to do. */
export class MicrophoneRefused extends Error {
  constructor(title, text) {
    super(title);
    this.title = title;
    this.text = text;
  }
}

const REFUSALS = {
  NotAllowedError: ["The microphone was not allowed.", "Allow it for this page in the browser's address bar, then start again."],
  NotFoundError: ["There is no microphone.", "Plug one in, or choose a file instead."],
  NotReadableError: ["The microphone is in use or does not work.", "Close what uses it, then start again."],
  NotSupportedError: ["This browser gives no microphone at 16 kHz.", "Use Chromium, Chrome or Edge, or choose a file instead."],
};
const UNKNOWN_REFUSAL = ["The microphone cannot be opened.", "Try another browser, or choose a file instead."];
const NOT_LOADED = ["The gateway does not answer.", "A part of this page that hears the microphone did not come. Check the network, then start again."];
const INSECURE = ["Browsers give no microphone to a page that came without TLS.", "Open this page over https, or on the gateway's own machine."];

/**
 * Begin to record. `hear` gets each piece of `pieceMs` as Int16Array. `isProcessed`: with the browser's echo cancellation, noise
 * suppression and gain control, which change what engines hear.
 * Rejects with MicrophoneRefused.
 */
export async function openMicrophone({ isProcessed, pieceMs, hear, lost }) {
  if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneRefused(...INSECURE);
  const wishes = { echoCancellation: isProcessed, noiseSuppression: isProcessed, autoGainControl: isProcessed, channelCount: 1 };
  let stream;
  let context;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: wishes });
    context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url)).catch(() => {
      throw new MicrophoneRefused(...NOT_LOADED);
    });
    const source = context.createMediaStreamSource(stream);
    const collector = new AudioWorkletNode(context, "patchbay-collector", {
      numberOfOutputs: 0,
      processorOptions: { pieceSamples: (pieceMs * RATE_HZ) / 1_000 },
    });
    source.connect(collector);
    await within(RESUME_MS, context.resume(), "the audio of the page"); // browsers may hold it back for ever
    return new Microphone(stream, context, collector, hear, lost);
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    await context?.close().catch(() => {});
    throw error instanceof MicrophoneRefused ? error : new MicrophoneRefused(...(REFUSALS[error.name] ?? UNKNOWN_REFUSAL));
  }
}

class Microphone {
  #stream;
  #context;
  #collector;
  #hear;
  #flushed;

  constructor(stream, context, collector, hear, lost) {
    this.#stream = stream;
    this.#context = context;
    this.#collector = collector;
    this.#hear = hear;
    this.#flushed = new Promise((resolve) => {
      collector.port.onmessage = ({ data }) => (data ? this.#hear(data) : resolve());
    });
    stream.getTracks().forEach((track) => track.addEventListener("ended", lost, { once: true }));
  }

  /** Stop; what was heard until then is handed over first. */
  async stop() {
    this.#collector.port.postMessage("stop");
    await within(FLUSH_MS, this.#flushed, "the last piece").catch(() => {});
    this.#hear = () => {};
    this.#stream.getTracks().forEach((track) => track.stop());
    await this.#context.close().catch(() => {}); // closed already: the session ends as it should
  }
}
