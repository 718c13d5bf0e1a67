// Finds the parts of a section by the names that its markup gives them.

/** `part("start")`: the one element with data-part="start". Throws where the markup has none. */
export function partsOf(root) {
  return (name) => {
    const found = root.querySelector(`[data-part="${name}"]`);
    if (!found) throw new Error(`the page has no part ${name}`);
    return found;
  };
}

/** An element with its class and children; text stays text. */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Text in which what stands between backticks is code. */
export function withCode(text) {
  return text.split("`").map((piece, number) => (number % 2 ? element("code", "", piece) : piece));
}
