// One session, over as many connections as it takes: docs/protocol.md, "When the connection breaks".
//
// These must stay true:
//   - Every message is told once; what was heard before a loss is not repeated.
//   - Only audio that an `ack` covers is let go of; all from there on can be sent again.
//   - Whoever is refused hears why, and is not tried for without end.

import { Bell } from "./bell.js";
import { pause } from "./deadline.js";
import { HeardOnce } from "./heard_once.js";
import { RATE_HZ } from "./kept_audio.js";
import { delayBeforeMs } from "./resume_pace.js";
import { withoutRepetition } from "./ways.js";

export const SESSION_RULES = {
  webtransportOpenMs: 3_000, // browsers would wait for minutes
  websocketOpenMs: 5_000,
  startedMs: 10_000,
  startedAgainMs: 5_000,
  silentMs: 30_000, // a gateway that owes an answer and says nothing for so long is taken for lost
  keepaliveMs: 10_000,
};

const MOST_SAMPLES_A_MESSAGE = RATE_HZ / 4;
const MOST_ENDS_IN_VAIN = 3; // without a further `ack`, the audio itself may be what engines fail on
const MOST_FINALIZES = 16;
const WATCH_MS = 250;

/**
 * `open(way, {deadlineMs, hear})` opens a connection, `waysHere()` says by which ways to this page's gateway,
 * `waysTo(addresses)` to others (promises). `tell(event)` gets {type: "message", message}, "connecting", "fell_back", "opened",
 * "lost" and "resumed".
 */
export class Session {
  #parts;
  #audio;
  #rules;
  #bell = new Bell();
  #heard = new HeardOnce();
  #leaving = new AbortController();
  #resumeToken = "";
  #resumeAt = [];
  #isSentOn = false; // by policy or a drain, to the gateways in `#resumeAt`
  #hasFallenBack = false; // other gateways' WebTransport is not waited for any more
  #ackedSample = 0;
  #finalizes = []; // {id, sample} without their `ack`
  #numFinalizes = 0;
  #isFinishing = false;
  #isThrottled = false;
  #endsInVain = 0;
  #leftUnanswered = 0; // attempts given up before an answer: a slow gateway may take the session up for one of them

  constructor({ token, options = {}, audio, open, waysHere, waysTo, tell, rules = {} }) {
    this.#parts = { token, options, open, waysHere, waysTo, tell };
    this.#audio = audio;
    this.#rules = { ...SESSION_RULES, ...rules };
  }

  /** There is more audio to send. */
  audioCame() {
    this.#bell.ring();
  }

  /** Make final what was said so far. False: too many such requests wait already. */
  finalize() {
    if (this.#finalizes.length >= MOST_FINALIZES || this.#isFinishing) return false;
    this.#numFinalizes += 1;
    this.#finalizes.push({ id: `f${this.#numFinalizes}`, sample: this.#audio.end });
    this.#bell.ring();
    return true;
  }

  /** No audio follows; the rest is still recognised. */
  finish() {
    this.#isFinishing = true;
    this.#bell.ring();
  }

  /** Leave at once: what is not final is dropped. */
  leave() {
    this.#leaving.abort();
    this.#bell.ring();
  }

  /** To the end: {type: "finished" | "left" | "unreachable" | "lost"}, or {type: "refused", error}. */
  async run() {
    let end = await this.#begin(await this.#parts.waysHere());
    if (end.error?.reason === "wrong_region" && end.error.gateways?.length && !this.#resumeToken) {
      end = await this.#begin(await this.#waysTo(end.error.gateways));
    }
    while (this.#mayGoOnAfter(end)) end = await this.#goOnAfter(end);
    return end.type === "broken" ? { type: "lost" } : end;
  }

  /** By the first way that leads to a gateway's answer. */
  async #begin(ways) {
    for (const [number, way] of ways.entries()) {
      const end = await this.#attempt(way, false);
      if (end.type !== "broken" || this.#resumeToken) return end;
      if (number + 1 < ways.length) this.#parts.tell({ type: "fell_back", from: way.transport, to: ways[number + 1].transport });
      this.#hasFallenBack ||= way.transport === "webtransport";
    }
    return { type: "unreachable" };
  }

  #mayGoOnAfter(end) {
    if (!this.#resumeToken || end.isGivenUp || this.#leaving.signal.aborted) return false;
    if (end.type === "broken") return true;
    if (end.type !== "refused") return false;
    const { reason, retryable, gateways } = end.error;
    if (reason === "resumed_elsewhere") return this.#leftUnanswered > 0; // by nobody else than this page
    if (reason === "wrong_region") return Boolean(gateways?.length); // policy changed, and permits it there
    return retryable && this.#endsInVain < MOST_ENDS_IN_VAIN;
  }

  /** Try the gateways that may take the session up, round after round. Gives how the next connection ended. */
  async #goOnAfter(loss) {
    const lostAtMs = performance.now();
    if (loss.error?.reason === "resumed_elsewhere") this.#leftUnanswered -= 1;
    this.#parts.tell({ type: "lost", error: loss.error ?? null });
    let end = loss;
    let ways = [];
    for (let attempt = 0; !this.#leaving.signal.aborted; attempt += 1) {
      if (attempt % (ways.length || 1) === 0) ways = await this.#waysAgain();
      const delayMs = delayBeforeMs({
        attempt,
        numWays: ways.length,
        lostForMs: performance.now() - lostAtMs,
        advisedMs: end.error?.retry_after_ms ?? 0,
      });
      if (delayMs === null) return end.type === "broken" ? { type: "lost" } : { ...end, isGivenUp: true };
      await pause(delayMs, this.#leaving.signal);
      const way = ways[attempt % ways.length];
      end = await this.#attempt(way, true, () =>
        this.#parts.tell({ type: "resumed", transport: way.transport, pauseMs: Math.round(performance.now() - lostAtMs) }),
      );
      if (end.wasStarted || !this.#mayGoOnAfter(end)) return end;
      if (end.error) this.#parts.tell({ type: "lost", error: end.error });
    }
    return { type: "left" };
  }

  async #waysAgain() {
    const [here, there] = await Promise.all([this.#parts.waysHere(), this.#waysTo(this.#resumeAt)]);
    const first = this.#isSentOn ? [] : here.filter((way) => way.transport === "webtransport");
    return withoutRepetition([...first, ...there, ...here]);
  }

  async #waysTo(addresses) {
    const ways = await this.#parts.waysTo(addresses);
    return this.#hasFallenBack ? ways.filter((way) => way.transport === "websocket") : ways;
  }

  // --- one connection -------------------------------------------------------------------------------

  async #attempt(way, isAgain, onStarted = () => {}) {
    if (this.#leaving.signal.aborted) return { type: "left" };
    this.#parts.tell({ type: "connecting", transport: way.transport });
    const talk = new Talk(() => {
      this.#hasFallenBack = way.transport === "websocket";
      onStarted();
    });
    const deadlineMs = way.transport === "webtransport" ? this.#rules.webtransportOpenMs : this.#rules.websocketOpenMs;
    let connection;
    try {
      // What is sent again goes all at once: in datagrams most of it would be lost.
      const inDatagrams = Boolean(way.inDatagrams) && !isAgain;
      connection = await this.#parts.open({ ...way, inDatagrams }, { deadlineMs, hear: (text) => this.#hear(text, talk) });
    } catch {
      return { type: "broken", wasStarted: false };
    }
    this.#parts.tell({ type: "opened", transport: way.transport, inDatagrams: connection.inDatagrams });
    const sending = this.#send(connection, talk, isAgain).catch(() => {}); // why it broke is heard below
    await Promise.race([connection.whenClosed, this.#watch(talk, isAgain)]);
    talk.isOver = true;
    this.#bell.ring();
    connection.close();
    await sending;
    if (talk.last?.type === "finished") return { type: "finished", wasStarted: true };
    if (talk.last?.type === "error") return { type: "refused", error: talk.last, wasStarted: talk.isStarted };
    if (this.#leaving.signal.aborted) return { type: "left" };
    if (isAgain && !talk.isStarted) this.#leftUnanswered += 1;
    return { type: "broken", wasStarted: talk.isStarted };
  }

  async #send(connection, talk, isAgain) {
    await connection.sendText(JSON.stringify(this.#start(isAgain)));
    let sample = isAgain ? this.#ackedSample : 0;
    let sentFinalizes = 0;
    while (!talk.isOver) {
      const finalize = this.#finalizes.find(({ id }) => Number(id.slice(1)) > sentFinalizes);
      if (finalize && finalize.sample <= sample) {
        await connection.sendText(JSON.stringify({ type: "finalize", id: finalize.id }), { isAfterAudio: true });
        sentFinalizes = Number(finalize.id.slice(1));
        continue;
      }
      const most = finalize ? Math.min(MOST_SAMPLES_A_MESSAGE, finalize.sample - sample) : MOST_SAMPLES_A_MESSAGE;
      const samples = this.#audio.from(sample, most);
      if (samples.length) {
        sample += samples.length;
        talk.sentSample = sample; // before it goes: its `ack` may be there before whoever sends goes on
        await connection.sendAudio(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
        continue;
      }
      if (this.#isFinishing) {
        talk.isFinishSent = true;
        return connection.sendText(JSON.stringify({ type: "finish" }), { isAfterAudio: true });
      }
      const waitingSinceMs = performance.now();
      await this.#bell.heard(this.#rules.keepaliveMs);
      if (!talk.isOver && performance.now() - waitingSinceMs >= this.#rules.keepaliveMs) {
        await connection.sendText(JSON.stringify({ type: "keepalive" }));
      }
    }
    return undefined;
  }

  #start(isAgain) {
    const { token, options } = this.#parts;
    const start = { type: "start", token, audio: { encoding: "pcm_s16le", sample_rate_hz: RATE_HZ }, ...options };
    return isAgain ? { ...start, resume: { token: this.#resumeToken, from_sample: this.#ackedSample } } : start;
  }

  /** Resolves when the session said its last word, is left, or the gateway says nothing when it should. */
  async #watch(talk, isAgain) {
    const openedAtMs = performance.now();
    const startedMs = isAgain ? this.#rules.startedAgainMs : this.#rules.startedMs;
    while (!talk.last && !talk.isOver && !this.#leaving.signal.aborted) {
      const nowMs = performance.now();
      if (!talk.isStarted && nowMs - openedAtMs > startedMs) return;
      const isOwedAnAnswer = (talk.sentSample > this.#ackedSample || talk.isFinishSent) && !this.#isThrottled;
      if (talk.isStarted && isOwedAnAnswer && nowMs - talk.heardAtMs > this.#rules.silentMs) return;
      await Promise.race([talk.ended, pause(WATCH_MS, this.#leaving.signal)]);
    }
  }

  #hear(text, talk) {
    if (talk.isOver) return;
    const message = parsed(text);
    if (!message) return; // nothing of ours
    talk.heardAtMs = performance.now();
    this.#note(message, talk);
    const isNew = this.#heard.take(message);
    if (isNew) this.#parts.tell({ type: "message", message: isNew });
    if (message.type === "error" || message.type === "finished") talk.end(message);
  }

  #note(message, talk) {
    switch (message.type) {
      case "started":
        this.#isThrottled = false; // a gateway that lets audio wait says so itself
        this.#resumeToken = message.resume_token ?? this.#resumeToken;
        this.#resumeAt = message.resume_at ?? this.#resumeAt;
        talk.start();
        break;
      case "ack":
        this.#acknowledge(message.sample, talk);
        this.#finalizes = this.#finalizes.filter(({ id }) => !message.finalized?.includes(id));
        this.#bell.ring();
        break;
      case "usage":
        this.#isThrottled = Boolean(message.is_throttled);
        break;
      case "error":
        this.#resumeAt = message.gateways?.length ? message.gateways : this.#resumeAt;
        this.#isSentOn ||= Boolean(message.gateways?.length);
        if (talk.isStarted && message.reason === "engine_unavailable") this.#endsInVain += 1;
        break;
    }
  }

  /** Audio up to there is done with; as far as this connection carried it, for nothing else can be. */
  #acknowledge(sample, talk) {
    const doneSample = Number.isInteger(sample) ? Math.min(sample, talk.sentSample) : 0;
    if (doneSample <= this.#ackedSample) return;
    this.#endsInVain = 0;
    this.#ackedSample = doneSample;
    this.#audio.release(doneSample);
  }
}

/** An object with a type, or null. */
function parsed(text) {
  try {
    const message = JSON.parse(text);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}

/** What is known of one connection. */
class Talk {
  isStarted = false;
  isOver = false;
  heardAtMs = performance.now();
  sentSample = 0; // all audio before it was sent
  isFinishSent = false;
  last = null; // `error` or `finished`
  #end;
  #onStarted;

  constructor(onStarted) {
    this.#onStarted = onStarted;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  start() {
    this.isStarted = true;
    this.#onStarted();
  }

  end(message) {
    this.last = message;
    this.#end();
  }
}
