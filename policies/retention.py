"""What may be kept of what was said, where, and until when. Pure.

Nothing, by default. Words are kept only where a project asks for it in the signed bundle, in the one region that it
names, where policy permits `store_transcript` there for this session, and under a name by which they can be erased.
Audio is never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

S_PER_DAY = 86_400
MAX_DAYS = 3_650


class NotKept(StrEnum):
    """Why the words of a session are not kept; a metric's label. The first that holds, in this order."""

    not_asked = "not_asked"
    """The project's row asks for nothing, or it has no row: the usual case, and nothing is told of it."""
    other_region = "other_region"
    """They are kept in another region, and this one keeps nothing."""
    no_subject = "no_subject"
    """Nobody is named, so they could never be erased by subject."""
    no_consent = "no_consent"
    """The profile requires the speaker's consent."""
    not_permitted = "not_permitted"
    """Policy forbids it here, or gives no decision."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Of a project's row. `days`: how long words are kept after their session began."""

    region: str
    days: int


@dataclass(frozen=True, slots=True)
class KeepingFacts:
    """Of one session in one region.

    Attributes:
        wish: None: the project asks for nothing.
        here: the region that would keep them.
        is_permitted: policy's decision on `store_transcript` here.
    """

    wish: Wish | None
    here: str
    has_subject: bool
    requires_consent: bool
    has_consent: bool
    is_permitted: bool


def reason_not_to_keep(facts: KeepingFacts) -> NotKept | None:
    """None: they are kept."""
    if facts.wish is None or facts.wish.days <= 0:
        return NotKept.not_asked
    if facts.wish.region != facts.here:
        return NotKept.other_region
    if not facts.has_subject:
        return NotKept.no_subject
    if facts.requires_consent and not facts.has_consent:
        return NotKept.no_consent
    return None if facts.is_permitted else NotKept.not_permitted


def keep_until_s(wish: Wish, *, begun_at_s: int) -> int:
    """Unix seconds; from then on they are to be erased."""
    return begun_at_s + min(wish.days, MAX_DAYS) * S_PER_DAY


class NotErased(StrEnum):
    """Why stored words stay although their time is over, or somebody asked for their erasure."""

    legal_hold = "legal_hold"
    """The project's row says so."""
    not_permitted = "not_permitted"
    """Policy forbids it, or gives no decision: what cannot be undone waits."""


def reason_not_to_erase(*, has_legal_hold: bool, is_permitted: bool) -> NotErased | None:
    """`is_permitted`: policy's decision on `erase_transcript`. None: they go."""
    if has_legal_hold:
        return NotErased.legal_hold
    return None if is_permitted else NotErased.not_permitted
