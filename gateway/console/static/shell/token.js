// The caller's token: in this tab's memory and nowhere else. It is sent in `start`, never in an address.

/** What `#token=…` in the page's address brought, which is taken out of it at once; "" where there is none. */
export function takeTokenFromAddress(location = window.location, history = window.history) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (token) history.replaceState(null, "", location.pathname + location.search);
  return token.trim();
}

/** The field, and the button that shows what is in it. */
export class TokenField {
  #input;

  constructor(input, showButton) {
    this.#input = input;
    input.addEventListener("input", () => this.#mark(false));
    showButton.addEventListener("click", () => {
      const isShown = input.type === "password";
      input.type = isShown ? "text" : "password";
      showButton.textContent = isShown ? "Hide" : "Show";
      showButton.setAttribute("aria-pressed", String(isShown));
    });
    const fill = () => {
      const token = takeTokenFromAddress();
      if (token) input.value = token;
    };
    window.addEventListener("hashchange", fill);
    fill();
  }

  get value() {
    return this.#input.value.trim().replace(/^Bearer\s+/i, "");
  }

  set isLocked(isLocked) {
    this.#input.readOnly = isLocked;
  }

  /** Say that it is the token that is wrong. */
  refuse() {
    this.#mark(true);
    this.#input.focus();
  }

  #mark(isWrong) {
    this.#input.setAttribute("aria-invalid", String(isWrong));
  }
}
