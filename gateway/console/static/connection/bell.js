// Waking whoever waits for work. A ring that nobody waits for is heard by the next who does.

export class Bell {
  #hasRung = false;
  #wake = null;

  ring() {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, or after so long. One may wait at a time. */
  async heard(withinMs) {
    if (!this.#hasRung) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#hasRung = false;
  }
}
