// What was said: finals that stay, the sentence that is still being spoken, and remarks between them.

import { element } from "../shell/parts.js";

const MOST_ENTRIES = 2_000; // older ones leave the page; a whole day of talk has some ten times as many
const NEAR_END_PX = 80;

export class Captions {
  #part;
  #texts = [];
  #copied;

  constructor(part) {
    this.#part = part;
    part("clear").addEventListener("click", () => this.clear());
    part("copy").addEventListener("click", () => this.#copy());
  }

  get transcript() {
    return this.#texts.join("\n");
  }

  partial({ text, stable_chars: stableChars = 0 }) {
    const characters = [...text]; // code points, as the protocol counts
    const end = characters[stableChars] === " " ? stableChars + 1 : stableChars; // a space is not underlined
    this.#part("stable").textContent = characters.slice(0, end).join("");
    this.#part("tentative").textContent = characters.slice(end).join("");
    this.#part("partial").hidden = !text;
    this.#keepEndInView(() => {
      this.#part("empty").hidden = true;
    });
  }

  final({ text, start_ms: startMs }) {
    this.#texts.push(text);
    const time = element("time", "", clock(startMs));
    time.dateTime = `PT${(startMs / 1_000).toFixed(3)}S`;
    const said = element("span", "said", text);
    said.dir = "auto"; // what is said need not be of the page's own script
    this.#add(element("p", "final", time, said));
    this.partial({ text: "" });
    this.#enable(true);
  }

  /** Something about the session, where it happened. */
  remark(text, { isWarning = false } = {}) {
    this.#add(element("p", isWarning ? "aside is-warning" : "aside", text));
  }

  /** Nothing more comes for the sentence that was being spoken. */
  dropPartial() {
    this.partial({ text: "" });
  }

  clear() {
    this.#texts = [];
    this.#part("log").replaceChildren();
    this.dropPartial();
    this.#part("empty").hidden = false;
    this.#enable(false);
  }

  #add(entry) {
    this.#keepEndInView(() => {
      const log = this.#part("log");
      log.append(entry);
      while (log.childElementCount > MOST_ENTRIES) log.firstElementChild.remove();
      this.#part("empty").hidden = true;
    });
  }

  #enable(hasText) {
    this.#part("copy").disabled = !hasText;
    this.#part("clear").disabled = !hasText;
  }

  /** Whoever scrolled up to read stays there. */
  #keepEndInView(change) {
    const scroll = this.#part("scroll");
    const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
    change();
    if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
  }

  async #copy() {
    const button = this.#part("copy");
    const isCopied = await copied(this.transcript);
    button.textContent = isCopied ? "Copied" : "Select and copy by hand";
    clearTimeout(this.#copied);
    this.#copied = setTimeout(() => {
      button.textContent = "Copy transcript";
    }, 2_000);
  }
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no permission, or a page without TLS
  }
}

/** Minutes and seconds of audio. */
export function clock(ms) {
  const seconds = Math.floor(ms / 1_000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((each) => String(each).padStart(2, "0"));
  const hours = Math.floor(seconds / 3_600);
  return hours ? `${hours}:${parts[0]}:${parts[1]}` : `${Number(parts[0])}:${parts[1]}`;
}
