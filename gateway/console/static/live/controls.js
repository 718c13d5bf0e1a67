// The form: what is chosen, and which of its parts can be used when.

import { TokenField } from "../shell/token.js";

const STATES = {
  idle: ["idle", "Ready"],
  preparing: ["busy", "Preparing…"],
  connecting: ["busy", "Connecting…"],
  listening: ["live", "Listening"],
  resuming: ["busy", "Connection lost, going on…"],
  finishing: ["busy", "Finishing…"],
  done: ["idle", "Done"],
  failed: ["failed", "Stopped"],
};
const DOUBLE_CLICK_MS = 500;
const AT_REST = new Set(["idle", "done", "failed"]);

export class Controls {
  #part;
  #root;
  #stopMeans = "";
  #stopMeansSoSinceMs = 0;

  constructor(root, part) {
    this.#root = root;
    this.#part = part;
    this.token = new TokenField(part("token"), part("show-token"));
    for (const source of root.querySelectorAll('[data-part="source"]')) source.addEventListener("change", () => this.#showFile());
    this.#showFile();
  }

  on({ start, stop, finalize }) {
    this.#part("setup").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#part("start").hidden) start();
    });
    this.#part("stop").addEventListener("click", ({ timeStamp }) => {
      // The second half of a double click was meant for what stood there before.
      if (timeStamp - this.#stopMeansSoSinceMs >= DOUBLE_CLICK_MS) stop();
    });
    this.#part("finalize").addEventListener("click", finalize);
  }

  /** What is chosen. `options` go into `start`. */
  get choice() {
    const text = {};
    if (this.#part("punctuation").checked) text.punctuation = true;
    if (this.#part("numerals").checked) text.numerals = true;
    return {
      source: this.#root.querySelector('[data-part="source"]:checked').value,
      file: this.#part("file").files[0] ?? null,
      transport: this.#part("transport").value,
      isPaced: this.#part("pace").value === "live",
      isProcessed: this.#part("processed").checked,
      wantsDatagrams: this.#part("datagrams").checked,
      options: Object.keys(text).length ? { text } : {},
    };
  }

  askForFile() {
    this.#part("file").focus();
  }

  /** One of STATES. `isFinishing`: nothing more is recorded, and what is left to do is to wait. */
  show(state, { isFinishing = false } = {}) {
    const [look, words] = STATES[state];
    this.#part("state").dataset.state = look;
    this.#part("state-text").textContent = words;
    const isAtRest = AT_REST.has(state);
    this.token.isLocked = !isAtRest;
    for (const choice of this.#root.querySelectorAll("fieldset input, details input, details select")) choice.disabled = !isAtRest;
    const start = this.#part("start");
    const stop = this.#part("stop");
    const hadFocus = this.#part("setup").contains(document.activeElement) && document.activeElement.localName === "button";
    start.hidden = !isAtRest;
    stop.hidden = isAtRest;
    stop.textContent = isFinishing ? "Do not wait" : "Stop";
    const means = isAtRest ? "" : stop.textContent;
    if (means !== this.#stopMeans) this.#stopMeansSoSinceMs = performance.now();
    this.#stopMeans = means;
    this.#part("finalize").hidden = state !== "listening";
    this.#part("level").hidden = state !== "listening";
    if (hadFocus) (isAtRest ? start : stop).focus();
  }

  /** 0 to 1. */
  loudness(value) {
    this.#part("level").firstElementChild.style.setProperty("--loudness", value.toFixed(3));
  }

  #showFile() {
    this.#part("file-row").hidden = this.choice.source !== "file";
  }
}
