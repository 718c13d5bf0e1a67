// One thing at a time that whoever speaks has to know, with what to do about it.

import { withCode } from "../shell/parts.js";

export class Notice {
  #box;
  #title;
  #text;

  constructor(part) {
    this.#box = part("notice");
    this.#title = part("notice-title");
    this.#text = part("notice-text");
  }

  /** `reason`: the gateway's word for it, for whoever is asked about it. */
  show({ title, text, reason = "" }, { isError = true } = {}) {
    this.#box.classList.toggle("is-error", isError);
    this.#box.dataset.reason = reason;
    this.#title.replaceChildren(...withCode(title));
    this.#text.replaceChildren(...withCode(reason ? `${text} (${reason})` : text));
    this.#box.hidden = false;
  }

  clear() {
    this.#box.hidden = true;
    delete this.#box.dataset.reason;
  }
}
