// Waiting that ends.

/** Something took longer than it may. */
export class Overdue extends Error {}

/** What the promise gives, or Overdue after so long. The promise itself is not stopped. */
export async function within(ms, promise, what) {
  let timer;
  const overdue = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Overdue(`${what} did not come within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, overdue]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after so long, or at once when the signal says stop. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
}
