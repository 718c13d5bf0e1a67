"""What is written down of each thing that an operator did, or tried to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Act(StrEnum):
    give = "give"
    confirm = "confirm"
    stop = "stop"
    resume = "resume"
    withdraw = "withdraw"
    expire = "expire"
    """Nobody's: an order waited too long for its second person, or an emergency permission is over."""
    use = "use"
    """Something was done under an emergency permission."""
    read = "read"
    """Stored words were read."""
    erase = "erase"
    """Stored words of a subject were erased."""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act. It names no token and no address.

    Attributes:
        id: of 32 hexadecimal digits; an event that was delivered twice has the same.
        outcome: `in_force`, `pending`, `confirmed`, `stopped`, `resumed`, `withdrawn`, `already`, `expired`; of
            emergency permissions `opened`, `closed`, `used` too; of stored words `read`, `erased`; or the reason of a
            refusal.
        who: subject of the token; empty: it proved nobody, or nobody acted.
        target, kind, order_id: of the order, as far as there is one. Of an emergency permission its project,
            `break_glass` and its id; of stored words whose they are, and `transcript`.
        why: in the operator's words.
        before, after: the order's state in a few words; empty: there was none.
        times: refusals like this that this event stands for.
    """

    id: str = ""
    at_unix_ms: int = 0
    act: Act
    outcome: str
    is_refused: bool = False
    who: str = ""
    target: str = ""
    kind: str = ""
    order_id: str = ""
    why: str = ""
    before: str = ""
    after: str = ""
    catalog_digest: str = ""
    gateway: str = ""
    times: int = 1


def encode_event(event: AuditEvent) -> bytes:
    return msgspec.json.encode(event)


def decode_event(raw: bytes) -> AuditEvent | None:
    """None: it cannot be read; a gateway of another release wrote it."""
    try:
        return msgspec.json.decode(raw, type=AuditEvent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def event_json(event: AuditEvent) -> dict[str, Any]:
    """With all fields, for people and programs that read."""
    return {field: _plain(getattr(event, field)) for field in event.__struct_fields__}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value
