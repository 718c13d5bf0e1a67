// What was heard already, so that a session that goes on elsewhere repeats nothing: gateway/wire/heard_once.py. Pure.
//
// Repetitions are known by their position, never by their text.

export class HeardOnce {
  #finalEndMs = 0;
  #utteranceEndMs = -1;
  #speechMs = -1;

  /** The message, or what is new in it; null: it was heard before. */
  take(message) {
    switch (message.type) {
      case "final":
        return this.#final(message);
      case "partial":
        return message.end_ms <= this.#finalEndMs ? null : message;
      case "utterance_end":
        if (message.at_ms <= this.#utteranceEndMs) return null;
        this.#utteranceEndMs = message.at_ms;
        return message;
      case "speech_started":
        if (message.at_ms <= this.#speechMs) return null;
        this.#speechMs = message.at_ms;
        return message;
      default:
        return message;
    }
  }

  #final(message) {
    const heardMs = this.#finalEndMs;
    this.#finalEndMs = Math.max(heardMs, message.end_ms);
    if (message.start_ms >= heardMs) return message;
    const words = (message.words ?? []).filter((word) => word.start_ms >= heardMs);
    if (!words.length) return null;
    return { ...message, words, text: words.map((word) => word.text).join(" "), start_ms: words[0].start_ms };
  }
}
