"""What is written down of each decision: no audio, no words, no address of anybody."""

from __future__ import annotations

from enum import StrEnum

import msgspec

RECORD_VERSION = 1


class Event(StrEnum):
    """What a record is about."""

    admission = "admission"
    placement = "placement"
    failover = "failover"
    drain = "drain"
    policy_change = "policy_change"
    """A bundle came into force, left it, or was refused."""
    session_outside = "session_outside"
    """A running session was moved or ended as its region is not permitted any more."""
    break_glass = "break_glass"
    support_access = "support_access"
    transcript = "transcript"
    """Words were stored, read, or erased."""
    meter_export = "meter_export"
    log = "log"
    """About the log itself: it began, was rotated, or could not be written."""


class RecordContext(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`subject`: countries, sorted, comma-separated; empty: not known. `break_glass`: id of the permission."""

    data_class: str = ""
    subject: str = ""
    legal_basis: str = ""
    capacity: str = ""
    break_glass: str = ""


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `seq`, `ts` (Unix milliseconds), `gateway` and `prev_hash` are given by its writer.

    Attributes:
        session: its id; empty where it is about none.
        key_id: pseudonym of the token's subject (16 hexadecimal digits of its SHA-256).
        action: of policies.residency.vocabulary, or what an operator did.
        from_region: where the session was; empty where it was nowhere.
        candidate_regions: those that policy permitted, before anything else was asked, sorted.
        chosen: the region that it went to; empty: none.
        decision: a Verdict.
        determining_policy_ids: sorted. For an allow, of the chosen region; for a refusal, of the region refused.
        detail: a sentence for people.
    """

    v: int = RECORD_VERSION
    seq: int = 0
    ts: int = 0
    gateway: str = ""
    event: Event
    session: str = ""
    org: str = ""
    project: str = ""
    key_id: str = ""
    action: str = ""
    trigger: str = ""
    from_region: str = ""
    candidate_regions: tuple[str, ...] = ()
    chosen: str = ""
    decision: str = ""
    determining_policy_ids: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    profile: str = ""
    policy_digest: str = ""
    entities_digest: str = ""
    schema_digest: str = ""
    context: RecordContext = RecordContext()
    latency_us: int = 0
    detail: str = ""
    prev_hash: str = ""
