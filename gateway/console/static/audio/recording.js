// A file as 16 kHz PCM16: decoded by the browser, then sent as fast as a microphone would, or as fast as it is taken.

import { pause } from "../connection/deadline.js";
import { RATE_HZ } from "../connection/kept_audio.js";
import { mixed, toPcm16 } from "./pcm.js";

const MOST_FILE_BYTES = 200_000_000;
const FAST_SAMPLES = RATE_HZ / 4;
const FULL_POLL_MS = 50;

/** The file is no audio that this browser reads; `title` and `text` say so to people. */
export class RecordingRefused extends Error {
  constructor(title, text) {
    super(title);
    this.title = title;
    this.text = text;
  }
}

/** Int16Array at 16 kHz, channels mixed. Rejects with RecordingRefused. */
export async function decodeRecording(file) {
  if (file.size > MOST_FILE_BYTES) {
    throw new RecordingRefused("The file is too large for a browser.", "Send it with `patchbay transcribe` instead, or cut it.");
  }
  let decoded;
  try {
    // A context of this rate resamples what it decodes.
    decoded = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new RecordingRefused("This browser cannot read the file as audio.", "WAV, FLAC, MP3, Ogg and WebM are read by most.");
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, number) => decoded.getChannelData(number));
  return toPcm16(mixed(channels));
}

/**
 * Hand the samples to `hear`, piece by piece, to the end or until the signal says stop. `hasRoomFor` bounds what waits.
 * `isPaced`: in pieces of `pieceMs`, as if spoken live.
 */
export async function play(samples, { isPaced, pieceMs, hasRoomFor, hear, signal }) {
  const pieceSamples = isPaced ? (pieceMs * RATE_HZ) / 1_000 : FAST_SAMPLES;
  const beganAtMs = performance.now();
  for (let at = 0; at < samples.length && !signal.aborted; at += pieceSamples) {
    const piece = samples.subarray(at, at + pieceSamples);
    const spokenAtMs = beganAtMs + ((at + piece.length) * 1_000) / RATE_HZ;
    const earlyMs = spokenAtMs - performance.now();
    if (isPaced && earlyMs > 0) await pause(earlyMs, signal); // what is late waits for nothing: in a tab behind others a pause takes a second
    while (!hasRoomFor(piece.length) && !signal.aborted) await pause(FULL_POLL_MS, signal);
    if (!signal.aborted) hear(piece);
  }
}
