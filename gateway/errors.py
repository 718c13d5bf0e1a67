"""The one table from a typed reason to what each protocol says: close code, HTTP and gRPC status, retry advice.

Only this file knows close codes and statuses. A reason is the same word in the client's message, the metric label and
the log line. docs/errors.md is made from the table (`make docs`), and a test compares them.

WebSocket codes: 1000-1015 as RFC 6455 §7.4 means them; 44xx are a client's fault, 45xx ours. gRPC codes are numbers of
google.rpc.Code, so that pure parts need not import grpc.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import engines.errors

if TYPE_CHECKING:
    from policies.plans import Level


class Fault(StrEnum):
    """Whose fault a close is, and so whether trying again helps."""

    nobody = "nobody"
    client = "client"
    limit = "a limit of the caller's plan or address"
    ours_for_now = "ours, for now"
    ours_for_good = "ours, for good"


class Reason(StrEnum):
    """Why a session was refused or closed."""

    finished = "finished"
    client_gone = "client_gone"

    malformed_message = "malformed_message"
    unexpected_message = "unexpected_message"
    message_too_large = "message_too_large"
    bad_audio_format = "bad_audio_format"
    misaligned_audio = "misaligned_audio"
    undecodable_audio = "undecodable_audio"
    bad_option = "bad_option"
    unknown_model = "unknown_model"
    unsupported_language = "unsupported_language"
    handshake_timeout = "handshake_timeout"
    idle_timeout = "idle_timeout"
    client_too_slow = "client_too_slow"
    session_too_long = "session_too_long"

    resume_token_invalid = "resume_token_invalid"
    resume_expired = "resume_expired"
    resume_not_possible = "resume_not_possible"
    resumed_elsewhere = "resumed_elsewhere"

    token_missing = "token_missing"
    token_malformed = "token_malformed"
    token_algorithm_refused = "token_algorithm_refused"
    token_key_unknown = "token_key_unknown"
    token_signature_invalid = "token_signature_invalid"
    token_claims_invalid = "token_claims_invalid"
    token_not_yet_valid = "token_not_yet_valid"
    token_expired = "token_expired"
    token_revoked = "token_revoked"
    scope_missing = "scope_missing"

    residency_unknown_profile = "residency_unknown_profile"
    residency_conflict = "residency_conflict"
    residency_denied = "residency_denied"
    wrong_region = "wrong_region"

    unknown_plan = "unknown_plan"
    address_limited = "address_limited"
    quota_exhausted = "quota_exhausted"
    concurrency_limit = "concurrency_limit"
    start_rate_limit = "start_rate_limit"

    too_many_sessions = "too_many_sessions"
    draining = "draining"
    no_capacity = "no_capacity"
    capacity_shed = "capacity_shed"
    no_permitted_region = "no_permitted_region"
    not_permitted = "not_permitted"
    engine_unavailable = "engine_unavailable"
    keys_unavailable = "keys_unavailable"
    limiter_unavailable = "limiter_unavailable"
    revocations_unavailable = "revocations_unavailable"
    residency_unavailable = "residency_unavailable"
    decision_log_unwritable = "decision_log_unwritable"
    internal_error = "internal_error"


@dataclass(frozen=True, slots=True)
class Row:
    """How one reason is told. `retry_after_ms` is None where waiting does not help."""

    fault: Fault
    ws_close: int
    http: int
    grpc: int
    meaning: str
    retry_after_ms: int | None = None

    @property
    def retryable(self) -> bool:
        return self.fault in (Fault.ours_for_now, Fault.limit)


_OK, _CANCELLED, _INVALID, _DEADLINE, _NOT_FOUND = 0, 1, 3, 4, 5
_DENIED, _EXHAUSTED, _PRECONDITION, _ABORTED, _INTERNAL, _UNAVAILABLE, _UNAUTHENTICATED = 7, 8, 9, 10, 13, 14, 16

_NOBODY, _CLIENT, _LIMIT, _NOW, _GOOD = tuple(Fault)

TABLE: dict[Reason, Row] = {
    Reason.finished: Row(_NOBODY, 1000, 200, _OK, "The session ended as the client asked."),
    Reason.client_gone: Row(_NOBODY, 1001, 499, _CANCELLED, "The connection ended without a `finish`."),
    Reason.malformed_message: Row(_CLIENT, 4400, 400, _INVALID, "A message could not be read."),
    Reason.unexpected_message: Row(
        _CLIENT, 4409, 409, _PRECONDITION, "A message came where the protocol does not allow it."
    ),
    Reason.message_too_large: Row(
        _CLIENT, 1009, 413, _INVALID, "A message is larger than `sessions.max_message_bytes`; send smaller pieces."
    ),
    Reason.bad_audio_format: Row(_CLIENT, 4415, 415, _INVALID, "The announced audio format is not one we read."),
    Reason.misaligned_audio: Row(
        _CLIENT, 4416, 400, _INVALID, "A message of raw audio does not hold whole samples of every channel."
    ),
    Reason.undecodable_audio: Row(_CLIENT, 4422, 422, _INVALID, "The bytes are not audio of the announced encoding."),
    Reason.bad_option: Row(_CLIENT, 4400, 400, _INVALID, "An option of `start` is out of its range."),
    Reason.unknown_model: Row(_CLIENT, 4404, 404, _NOT_FOUND, "No engine here has that model."),
    Reason.unsupported_language: Row(_CLIENT, 4404, 404, _NOT_FOUND, "The model does not know that language."),
    Reason.handshake_timeout: Row(_CLIENT, 4408, 408, _DEADLINE, "No `start` came in time."),
    Reason.idle_timeout: Row(_CLIENT, 4408, 408, _DEADLINE, "Nothing came for too long; send `keepalive`."),
    Reason.client_too_slow: Row(
        _CLIENT, 4429, 429, _EXHAUSTED, "The client does not read its results, and too many wait for it."
    ),
    Reason.session_too_long: Row(
        _CLIENT, 4413, 413, _PRECONDITION, "It reached `sessions.max_session_ms` or its plan's longest; open a new one."
    ),
    Reason.resume_token_invalid: Row(
        _CLIENT, 4403, 403, _DENIED, "The resume token is not one of ours, or is another caller's; open a new session."
    ),
    Reason.resume_expired: Row(
        _CLIENT, 4410, 410, _PRECONDITION, "It has been too long to go on with that session; open a new one."
    ),
    Reason.resume_not_possible: Row(
        _CLIENT, 4410, 410, _PRECONDITION, "That session cannot be gone on with here; open a new one."
    ),
    Reason.resumed_elsewhere: Row(
        _CLIENT, 4409, 409, _ABORTED, "The session goes on over another connection, perhaps at another gateway."
    ),
    Reason.token_missing: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "No token came with the request or in `start`."),
    Reason.token_malformed: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "The token is not a JWT we can read."),
    Reason.token_algorithm_refused: Row(
        _CLIENT, 4401, 401, _UNAUTHENTICATED, "The token's algorithm is not allowed, or not for that key."
    ),
    Reason.token_key_unknown: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "No key of ours has the token's `kid`."),
    Reason.token_signature_invalid: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "The token's signature is wrong."),
    Reason.token_claims_invalid: Row(
        _CLIENT, 4401, 401, _UNAUTHENTICATED, "A claim is missing or not what we ask for (issuer, audience, tenant)."
    ),
    Reason.token_not_yet_valid: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "The token's `nbf` or `iat` is to come."),
    Reason.token_expired: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "The token's `exp` has passed."),
    Reason.token_revoked: Row(_CLIENT, 4401, 401, _UNAUTHENTICATED, "The token, its key or its tenant was revoked."),
    Reason.scope_missing: Row(_CLIENT, 4403, 403, _DENIED, "The token lacks the scope for streaming."),
    Reason.residency_unknown_profile: Row(
        _CLIENT, 4403, 403, _DENIED, "The token names no residency profile that is known here."
    ),
    Reason.residency_conflict: Row(
        _CLIENT,
        4403,
        403,
        _DENIED,
        "Token, project and `start` say things about the session's residency that cannot all be.",
    ),
    Reason.residency_denied: Row(
        _CLIENT, 4403, 403, _DENIED, "Policy permits audio of this session in no region; the message names the rules."
    ),
    Reason.wrong_region: Row(
        _CLIENT, 4421, 421, _PRECONDITION, "The audio may not come to this region; connect to one of `gateways`."
    ),
    Reason.unknown_plan: Row(_CLIENT, 4403, 403, _DENIED, "The token names a plan that is not known here."),
    Reason.address_limited: Row(
        _LIMIT, 4430, 429, _EXHAUSTED, "Too many connections are opened from this address.", retry_after_ms=1_000
    ),
    Reason.quota_exhausted: Row(
        _LIMIT, 4431, 429, _EXHAUSTED, "The compute of the key, project or org is used up.", retry_after_ms=1_000
    ),
    Reason.concurrency_limit: Row(
        _LIMIT, 4432, 429, _EXHAUSTED, "As many sessions are open as the plan allows.", retry_after_ms=1_000
    ),
    Reason.start_rate_limit: Row(
        _LIMIT, 4433, 429, _EXHAUSTED, "Sessions are opened faster than the plan allows.", retry_after_ms=1_000
    ),
    Reason.too_many_sessions: Row(
        _NOW, 4529, 503, _EXHAUSTED, "This gateway holds as many sessions as it may.", retry_after_ms=1_000
    ),
    Reason.draining: Row(_NOW, 1012, 503, _UNAVAILABLE, "This gateway is going away.", retry_after_ms=100),
    Reason.no_capacity: Row(_NOW, 4503, 503, _EXHAUSTED, "No engine has a free slot.", retry_after_ms=2_000),
    Reason.capacity_shed: Row(
        _NOW,
        4509,
        503,
        _EXHAUSTED,
        "All slots are taken, and a session of a higher tier needed this one; go on later, with the resume token.",
        retry_after_ms=2_000,
    ),
    Reason.no_permitted_region: Row(
        _NOW,
        4508,
        503,
        _UNAVAILABLE,
        "None of the regions where the caller's audio may be recognised does so now.",
        retry_after_ms=2_000,
    ),
    Reason.not_permitted: Row(
        _NOW,
        4511,
        503,
        _UNAVAILABLE,
        "Every engine that was asked found the audio not permitted to it; that is a fault of ours.",
        retry_after_ms=2_000,
    ),
    Reason.engine_unavailable: Row(
        _NOW, 4504, 503, _UNAVAILABLE, "No engine could take the session on in time.", retry_after_ms=2_000
    ),
    Reason.keys_unavailable: Row(
        _NOW, 4505, 503, _UNAVAILABLE, "The keys that tokens are checked with cannot be fetched.", retry_after_ms=2_000
    ),
    Reason.limiter_unavailable: Row(
        _NOW,
        4506,
        503,
        _UNAVAILABLE,
        "Limits cannot be checked; the plan admits nobody then.",
        retry_after_ms=2_000,
    ),
    Reason.revocations_unavailable: Row(
        _NOW,
        4507,
        503,
        _UNAVAILABLE,
        "It has been too long since revocations of tokens could be read.",
        retry_after_ms=2_000,
    ),
    Reason.decision_log_unwritable: Row(
        _NOW,
        4510,
        503,
        _UNAVAILABLE,
        "Decisions about the session could not be written down here, and its residency profile or plan asks for that.",
        retry_after_ms=2_000,
    ),
    Reason.residency_unavailable: Row(
        _NOW,
        4512,
        503,
        _UNAVAILABLE,
        "No policy bundle is in force here, so nothing is permitted.",
        retry_after_ms=2_000,
    ),
    Reason.internal_error: Row(_GOOD, 1011, 500, _INTERNAL, "A fault of ours; it is logged with the session's id."),
}


class SessionRefused(Exception):
    """A session is refused or ends early, for one typed reason; `detail` is for the client's eyes."""

    def __init__(self, reason: Reason, detail: str = "", *, retry_after_ms: int | None = None) -> None:
        row = TABLE[reason]
        super().__init__(detail or row.meaning)
        self.reason = reason
        self.detail = detail or row.meaning
        self.retry_after_ms = row.retry_after_ms if retry_after_ms is None else retry_after_ms


class ClientFault(SessionRefused):
    """The client did what it may not do."""


class AuthenticationFailed(SessionRefused):
    """The token does not prove a caller who may stream."""


class QuotaRefused(SessionRefused):
    """A limit of the caller's plan; `level` is the narrowest that refused, `remaining` what is left there (in the unit
    of the limit: sessions, starts or micro-compute-seconds), `limit` how much that may be at most. `window_s`: how long
    it takes to come back from nothing; None: it does not come back by time.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        retry_after_ms: int,
        level: Level,
        remaining: int,
        limit: int,
        window_s: int | None = None,
    ) -> None:
        super().__init__(reason, detail, retry_after_ms=retry_after_ms)
        self.level = level
        self.remaining = remaining
        self.limit = limit
        self.window_s = window_s


class AddressRefused(SessionRefused):
    """Too much comes from the client's address. `limit_name`: which of its limits, `limit`: how much that allows at
    most, in `window_s` seconds or, where that is None, at once.
    """

    def __init__(self, detail: str, *, retry_after_ms: int, limit_name: str, limit: int, window_s: int | None) -> None:
        super().__init__(Reason.address_limited, detail, retry_after_ms=retry_after_ms)
        self.limit_name = limit_name
        self.limit = limit
        self.window_s = window_s


class WrongRegion(SessionRefused):
    """This gateway's region may not hear the caller; `gateways`: those that may, nearest first."""

    def __init__(self, detail: str, gateways: tuple[str, ...]) -> None:
        super().__init__(Reason.wrong_region, detail)
        self.gateways = gateways


class RegionEmptied(WrongRegion):
    """Operators send the clients of this region elsewhere, where `gateways` permit the caller."""

    def __init__(self, gateways: tuple[str, ...]) -> None:
        SessionRefused.__init__(self, Reason.draining, "this region is being emptied; connect to one of `gateways`")
        self.gateways = gateways


class Unavailable(SessionRefused):
    """Ours for now: trying again later, or elsewhere, helps."""


ENGINE_ERRORS: dict[type[engines.errors.EngineError], Reason] = {
    engines.errors.EngineError: Reason.internal_error,
    engines.errors.ModelRejected: Reason.internal_error,
    engines.errors.RuntimeMissing: Reason.internal_error,
    engines.errors.BackendFailed: Reason.engine_unavailable,
    engines.errors.RowsFailed: Reason.engine_unavailable,
    engines.errors.LinkMisused: Reason.internal_error,
}
"""What an engine's error means to a client, when no other replica could help. A test walks every subclass."""
