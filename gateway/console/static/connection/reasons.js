// What to do about each reason for which a session ends: docs/errors.md, in words for whoever speaks. Pure.
//
// What happened stands in the message that comes with the reason.

const NEW_TOKEN = "Paste a new token. On this machine, `patchbay token` prints one.";
const OTHER_TOKEN = "Ask whoever gave you the token for one that this gateway takes.";
const LATER = "Try again in a moment.";
const LIMIT = "Wait until the limit has room again, or ask for a larger plan.";
const OURS = "Nothing is wrong with your audio or your token. Try again; if it stays so, tell your operator.";
const BUG = "This should not happen with this page. Reload it, and tell your operator if it happens again.";
const START_ANEW = "Start a new session. What stands on the page stays.";

const ADVICE = {
  malformed_message: BUG,
  unexpected_message: BUG,
  message_too_large: BUG,
  bad_audio_format: BUG,
  misaligned_audio: BUG,
  undecodable_audio: BUG,
  bad_option: BUG,
  unknown_model: "Ask your operator which models there are.",
  unsupported_language: "Ask your operator which languages the model speaks.",
  handshake_timeout: "The network is slow. Try again.",
  idle_timeout: START_ANEW,
  client_too_slow: "This tab could not keep up. Close others, then start again.",
  session_too_long: START_ANEW,
  resume_token_invalid: START_ANEW,
  resume_expired: START_ANEW,
  resume_not_possible: START_ANEW,
  resumed_elsewhere: "Another connection took the session. If that was not you, revoke the token.",
  token_missing: NEW_TOKEN,
  token_malformed: "Check that the token was pasted as a whole. It has three parts with dots between.",
  token_algorithm_refused: OTHER_TOKEN,
  token_key_unknown: NEW_TOKEN,
  token_signature_invalid: NEW_TOKEN,
  token_claims_invalid: OTHER_TOKEN,
  token_not_yet_valid: "Check the clock of the machine that made the token, then try again.",
  token_expired: NEW_TOKEN,
  token_revoked: OTHER_TOKEN,
  scope_missing: "Ask for a token with the scope for streaming.",
  residency_unknown_profile: OTHER_TOKEN,
  residency_conflict: OTHER_TOKEN,
  residency_denied: "Rules about where voices may go forbid this session. Ask those who write them.",
  wrong_region: "Your audio may not come to this region. Open the console of a gateway that may hear you.",
  unknown_plan: OTHER_TOKEN,
  address_limited: "Many connections come from your address. Wait a minute, then try again.",
  quota_exhausted: LIMIT,
  concurrency_limit: "End another session of the same key, then try again.",
  start_rate_limit: LATER,
  too_many_sessions: LATER,
  draining: LATER,
  no_capacity: LATER,
  capacity_shed: LATER,
  no_permitted_region: OURS,
  not_permitted: OURS,
  engine_unavailable: OURS,
  keys_unavailable: OURS,
  limiter_unavailable: OURS,
  revocations_unavailable: OURS,
  residency_unavailable: OURS,
  decision_log_unwritable: OURS,
  internal_error: OURS,
};

/** Whether the reason is about the token, so that its field is where to look. */
export function isAboutToken(reason) {
  return reason.startsWith("token_") || reason === "scope_missing" || reason === "unknown_plan";
}

/** {title, text} for an `error` message; of one that later versions may add, what the gateway itself says. */
export function inPlainWords({ reason, message, retry_after_ms: retryAfterMs }) {
  const advice = ADVICE[reason] ?? "See the gateway's documentation for this reason.";
  const wait = retryAfterMs >= 1_000 ? ` (in ${Math.ceil(retryAfterMs / 1_000)} s)` : "";
  return { title: sentence(message || reason), text: advice.replace(/\.$/, `${wait}.`), reason };
}

function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
