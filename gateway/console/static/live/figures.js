// Figures of the session that runs, or ran last.

import { clock } from "./captions.js";
import { LostAudio } from "./lost_audio.js";
import { Timing, median } from "./timing.js";

const TRANSPORTS = { webtransport: "WebTransport", websocket: "WebSocket" };

export class Figures {
  #root;
  #timing;
  #numResumed;
  #audioMs;
  #numWords;

  constructor(root) {
    this.#root = root;
    this.begin();
  }

  begin() {
    this.#timing = new Timing();
    this.lostAudio = new LostAudio();
    this.#numResumed = 0;
    this.#numWords = 0;
    for (const name of ["transport", "region", "engine-region", "model", "session", "first-partial", "final"]) this.#set(name, "–");
    this.#set("first-partial-note", "after speech begins");
    this.#set("final-note", "after speech ends");
    this.audio(0);
    this.#set("words", "0");
    for (const row of ["compute", "lost", "resumed", "session"]) this.#show(row, false);
  }

  /** Audio up to here was spoken at this moment; of files that are sent faster than that nothing can be said. */
  audio(endMs, spokenAtMs = null) {
    this.#audioMs = endMs;
    this.#set("audio", clock(endMs));
    this.lost();
    if (spokenAtMs !== null) this.#timing.audioSpoken(endMs, spokenAtMs);
  }

  finalAsked() {
    this.#timing.finalAsked(performance.now());
  }

  opened(transport, { inDatagrams = false } = {}) {
    this.#set("transport", TRANSPORTS[transport] + (inDatagrams ? ", datagrams" : ""));
  }

  /** What `lostAudio` knows. */
  lost() {
    const total = this.lostAudio.total(this.#audioMs);
    this.#set("lost", total || "–");
    this.#show("lost", Boolean(total));
  }

  resumed() {
    this.#numResumed += 1;
    this.#set("resumed", this.#numResumed === 1 ? "once" : `${this.#numResumed} times`);
    this.#show("resumed", true);
  }

  hear(message) {
    this.#timing.hear(message, performance.now());
    switch (message.type) {
      case "started":
        this.#set("region", message.region);
        this.#set("engine-region", message.engine_region ?? message.region);
        this.#set("model", message.model);
        this.#set("session", message.session_id.slice(0, 12));
        this.#show("session", true);
        break;
      case "migrated":
        if (message.engine_region) this.#set("engine-region", message.engine_region);
        break;
      case "usage":
        this.#set("compute", `${(message.compute_us / 1e6).toFixed(2)} s`);
        this.#show("compute", true);
        break;
      case "partial":
        this.#latency("first-partial", this.#timing.firstPartialMs, "after speech begins");
        break;
      case "final":
        this.#numWords += message.text.split(/\s+/).filter(Boolean).length;
        this.#set("words", this.#numWords.toLocaleString("en"));
        break;
      case "utterance_end":
        this.#finals();
        break;
    }
  }

  #finals() {
    const last = this.#timing.finals.at(-1);
    if (!last) return;
    const alike = this.#timing.finals.filter(({ after }) => after === last.after).map(({ ms }) => ms);
    this.#latency("final", alike, last.after === "speech" ? "after speech ends, with its pause" : "after it was asked for");
  }

  #latency(name, all, note) {
    if (!all.length) return;
    this.#set(name, Math.round(all.at(-1)).toLocaleString("en"));
    const middle = all.length > 1 ? `; median ${Math.round(median(all)).toLocaleString("en")} of ${all.length}` : "";
    this.#set(`${name}-note`, note + middle);
  }

  #set(name, text) {
    this.#root.querySelector(`[data-figure="${name}"]`).textContent = text;
  }

  #show(name, isShown) {
    this.#root.querySelector(`[data-row="${name}"]`).hidden = !isShown;
  }
}
