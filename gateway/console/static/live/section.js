// Live captions: a microphone or a file, a session, and what comes of it on the page.

import { MicrophoneRefused, openMicrophone } from "../audio/microphone.js";
import { RecordingRefused, decodeRecording, play } from "../audio/recording.js";
import { loudness } from "../audio/pcm.js";
import { whyRefused } from "../connection/diagnosis.js";
import { KeptAudio, RATE_HZ } from "../connection/kept_audio.js";
import { open } from "../connection/opening.js";
import { inPlainWords, isAboutToken } from "../connection/reasons.js";
import { Session } from "../connection/session.js";
import { waysHere, waysTo } from "../connection/ways.js";
import { isSupported as canWebTransport } from "../connection/webtransport.js";
import { partsOf } from "../shell/parts.js";
import { Captions } from "./captions.js";
import { Controls } from "./controls.js";
import { Figures } from "./figures.js";
import { Notice } from "./notice.js";

const PIECE_MS = 100;
const DATAGRAM_PIECE_MS = 20; // one datagram each: the loss of one is noticed when the next comes
const AWAY_MS = 60_000; // of audio that is kept beyond what a session may hold, for a gateway that went away

const NO_TOKEN = { title: "A token is needed.", text: "Paste one into the field. On this machine, `patchbay token` prints one." };
const NO_FILE = { title: "No file is chosen.", text: "Choose one, or listen to the microphone." };
const UNREACHABLE = {
  title: "The gateway does not answer.",
  text: "Check the network. What is between you and it may let neither WebTransport nor WebSocket through.",
};
const LOST = {
  title: "The connection was lost and could not be made again.",
  text: "What stands here is final. Start again when the network is back.",
};
const TOO_FAR_BEHIND = {
  title: "The gateway was away for too long.",
  text: "No more audio could be kept, so the session was ended. What stands here is final.",
};
const THROTTLED = "The plan is used up for now; audio waits";
const WAITED_TOO_LONG = {
  title: "The plan was used up for too long.",
  text: "No more audio could be kept, so the session was ended. What stands here is final. Ask for a larger plan.",
};
const TRIES = "Nothing is to be done: the session goes on by itself as soon as it may, or says that it gave up.";
const PAGE_FAILED = { title: "This page failed.", text: "Copy what stands here, then reload it." };
const MICROPHONE_LOST = { title: "The microphone went away.", text: "What was said until then is still recognised." };

export class LiveSection {
  #settings;
  #captions;
  #controls;
  #figures;
  #notice;
  #run = null;

  constructor(root, { settings }) {
    const part = partsOf(root);
    this.#settings = settings;
    this.#captions = new Captions(part);
    this.#controls = new Controls(root, part);
    this.#figures = new Figures(root);
    this.#notice = new Notice(part);
    this.#controls.on({
      start: () => this.#start(),
      stop: () => this.#stop(),
      finalize: () => {
        if (this.#run?.session?.finalize()) this.#figures.finalAsked();
      },
    });
    window.addEventListener("pagehide", () => {
      this.#run?.leaving.abort();
      this.#run?.session?.leave();
    });
  }

  #stop() {
    const run = this.#run;
    if (run?.isFinishing) run.session?.leave();
    else if (run?.stop) run.stop();
    else run?.leaving.abort(); // nothing is listened to yet, and nothing shall be
  }

  async #start() {
    if (this.#run) return;
    const choice = this.#controls.choice;
    const token = this.#controls.token.value;
    this.#notice.clear();
    if (!token) {
      this.#notice.show(NO_TOKEN);
      this.#controls.token.refuse();
      return;
    }
    if (choice.source === "file" && !choice.file) {
      this.#notice.show(NO_FILE);
      this.#controls.askForFile();
      return;
    }
    this.#figures.begin();
    this.#controls.show("preparing");
    this.#run = { leaving: new AbortController() }; // a second click starts nothing
    let outcome = { state: "failed" };
    try {
      outcome = await this.#speak(choice, token);
    } catch (error) {
      const isForeseen = error instanceof MicrophoneRefused || error instanceof RecordingRefused;
      this.#notice.show(isForeseen ? error : PAGE_FAILED);
      if (!isForeseen) throw error;
    } finally {
      this.#captions.dropPartial();
      this.#run = null;
      this.#controls.show(outcome.state);
    }
    if (outcome.isAboutToken) this.#controls.token.refuse();
  }

  /** From the first sample to the session's end. Rejects with MicrophoneRefused or RecordingRefused. */
  async #speak(choice, token) {
    const run = this.#run;
    const { signal } = run.leaving;
    const settings = await unlessLeft(this.#settings.newest().catch(() => null), signal);
    if (signal.aborted) return { state: "idle" };
    if (!settings) {
      this.#notice.show(UNREACHABLE);
      return { state: "failed" };
    }
    const audio = new KeptAudio(settings.limits.held_audio_ms + AWAY_MS);
    const session = this.#session(choice, token, audio);
    const source = this.#source(choice, audio, session, run);
    const opened = await unlessLeft(source, signal);
    if (signal.aborted) {
      run.isOver = true;
      source.then(({ close }) => close()).catch(() => {}); // a question for the microphone may be answered at any time
      return { state: "idle" };
    }
    Object.assign(run, opened); // a short file is read by then
    this.#showState();
    let end;
    try {
      end = await session.run();
    } finally {
      run.isOver = true;
      await run.close(); // whatever happens, nobody is listened to any longer
    }
    return this.#ended(end, token);
  }

  #session({ transport, source, isPaced, wantsDatagrams, options }, token, audio) {
    const inDatagrams = wantsDatagrams && (source === "microphone" || isPaced); // nothing holds back what goes faster
    const how = { pageUrl: window.location.href, canWebTransport: canWebTransport(), wish: transport, inDatagrams };
    return new Session({
      token,
      options,
      audio,
      open,
      waysHere: async () => waysHere(await this.#settings.newest(), how),
      waysTo: async (addresses) => waysTo(addresses, { ...how, settings: await this.#settings.newest() }),
      tell: (event) => this.#told(event),
    });
  }

  /** What is listened to: {session, stop, close}, and how it stands. It runs already: nothing said meanwhile is missed. */
  async #source(choice, audio, session, run) {
    const ending = new AbortController();
    run.leaving.signal.addEventListener("abort", () => ending.abort());
    const hear = (isTimed) => (piece) => {
      if (ending.signal.aborted) return;
      if (!audio.push(piece)) {
        ending.abort();
        this.#notice.show(run.isThrottled ? WAITED_TOO_LONG : TOO_FAR_BEHIND);
        session.leave();
        return;
      }
      this.#figures.audio((audio.end * 1_000) / RATE_HZ, isTimed ? performance.now() : null);
      this.#controls.loudness(loudness(piece));
      session.audioCame();
    };
    const finish = () => {
      if (run.isOver) return;
      run.isFinishing = true;
      this.#showState();
      this.#figures.finalAsked();
      session.finish();
    };
    if (choice.source === "microphone") return this.#microphone(choice, { session, ending, hear: hear(true), finish });
    const samples = await decodeRecording(choice.file);
    const playing = play(samples, {
      isPaced: choice.isPaced,
      pieceMs: pieceMs(choice),
      hasRoomFor: (numSamples) => audio.hasRoomFor(numSamples),
      hear: hear(choice.isPaced),
      signal: ending.signal,
    }).then(finish);
    const close = async () => {
      ending.abort();
      await playing;
    };
    return { session, stop: close, close };
  }

  async #microphone(choice, { session, ending, hear, finish }) {
    let stopping = null;
    const stop = () => {
      stopping ??= microphone.stop().then(finish);
      return stopping;
    };
    const lost = () => {
      this.#notice.show(MICROPHONE_LOST, { isError: false });
      stop();
    };
    const microphone = await openMicrophone({ isProcessed: choice.isProcessed, pieceMs: pieceMs(choice), hear, lost });
    const close = async () => {
      await stop();
      ending.abort();
    };
    return { session, stop, close };
  }

  #told(event) {
    switch (event.type) {
      case "fell_back":
        this.#captions.remark("WebTransport did not answer, so WebSocket is used");
        break;
      case "opened":
        this.#figures.opened(event.transport, event);
        break;
      case "lost":
        this.#run.isLost = true;
        this.#showState();
        if (event.error && event.error.reason !== "draining") this.#notice.show({ ...inPlainWords(event.error), text: TRIES }, { isError: false });
        break;
      case "resumed":
        this.#run.isLost = false;
        this.#notice.clear();
        this.#figures.resumed();
        this.#captions.remark(`Connection lost for ${seconds(event.pauseMs)}; gone on over ${this.#nameOf(event.transport)}, no word missing`);
        break;
      case "message":
        this.#heard(event.message);
        break;
    }
  }

  #showState() {
    const { isLost, isFinishing, isStarted } = this.#run;
    const state = isLost ? "resuming" : isFinishing ? "finishing" : isStarted ? "listening" : "connecting";
    this.#controls.show(state, { isFinishing });
  }

  #heard(message) {
    this.#figures.hear(message);
    switch (message.type) {
      case "started":
        this.#run.isStarted = true;
        this.#showState();
        break;
      case "partial":
        this.#captions.partial(message);
        break;
      case "final":
        this.#remarkLost(this.#figures.lostAudio.unsaid());
        this.#captions.final(message);
        this.#run.isThrottlingTold = false;
        break;
      case "migrated":
        this.#captions.remark(`Another engine goes on${message.engine_region ? ` in ${message.engine_region}` : ""}; nothing is lost`);
        break;
      case "audio_lost":
        this.#remarkLost(this.#figures.lostAudio.lost(message));
        this.#figures.lost();
        break;
      case "usage":
        this.#throttled(Boolean(message.is_throttled));
        break;
    }
  }

  /** It may be so for long, and change by the second: once is enough until there are words again. */
  #throttled(isThrottled) {
    const run = this.#run;
    run.isThrottled = isThrottled;
    if (isThrottled && !run.isThrottlingTold) this.#captions.remark(THROTTLED, { isWarning: true });
    run.isThrottlingTold ||= isThrottled;
  }

  #remarkLost(text) {
    if (text) this.#captions.remark(text, { isWarning: true });
  }

  async #ended(end, token) {
    this.#remarkLost(this.#figures.lostAudio.unsaid());
    switch (end.type) {
      case "finished":
        return { state: "done" };
      case "left":
        return { state: "failed" };
      case "lost":
        this.#notice.show(LOST);
        return { state: "failed" };
      case "unreachable": {
        const error = await whyRefused(token);
        this.#notice.show(error?.reason ? inPlainWords(error) : UNREACHABLE);
        return { state: "failed", isAboutToken: Boolean(error?.reason) && isAboutToken(error.reason) };
      }
      default:
        this.#notice.show(inPlainWords(end.error));
        return { state: "failed", isAboutToken: isAboutToken(end.error.reason) };
    }
  }

  #nameOf(transport) {
    return transport === "webtransport" ? "WebTransport" : "WebSocket";
  }
}

function pieceMs({ wantsDatagrams }) {
  return wantsDatagrams ? DATAGRAM_PIECE_MS : PIECE_MS;
}

/** What the promise gives; nothing, as soon as the signal says that nobody waits for it any more. */
function unlessLeft(promise, signal) {
  return Promise.race([promise, new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))]);
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}
