// What the gateway says of itself: its region, where WebTransport is, limits. Asked for anew for each connection, because
// certificates are renewed while a page is open.

import { within } from "../connection/deadline.js";

const DEADLINE_MS = 3_000;

export class Settings {
  #last = null;

  /** The newest there is; the last known while the gateway does not answer. Rejects where it never did. */
  async newest() {
    try {
      const answer = await within(DEADLINE_MS, fetch(new URL("../settings.json", import.meta.url), { cache: "no-store" }), "the settings");
      if (answer.ok) this.#last = await within(DEADLINE_MS, answer.json(), "the settings");
    } catch (error) {
      if (!this.#last) throw error;
    }
    if (!this.#last) throw new Error("the gateway has no settings for this page");
    return this.#last;
  }
}
