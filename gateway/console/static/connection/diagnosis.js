// Why no session could be opened at all: a plain request is told what a connection's script is not.

import { within } from "./deadline.js";

const DEADLINE_MS = 4_000;

/** The gateway's `error` message, or null where it would take the token, or does not answer either. */
export async function whyRefused(token) {
  const asking = fetch("/v1/regions", { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", redirect: "manual" });
  try {
    const answer = await within(DEADLINE_MS, asking, "an answer");
    return answer.ok ? null : await within(DEADLINE_MS, answer.json(), "its text");
  } catch {
    return null;
  }
}
