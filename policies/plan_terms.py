"""What single places of a plans file say, and how what several of them say becomes one: the narrowest wins. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from policies.plans import (
    MICRO,
    Level,
    LevelLimits,
    Rate,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
    WhenLogUnwritable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Place = tuple[str, ...]
"""The path of a table in the file, as in ("orgs", "acme", "keys", "ci bot"), or of a value in it."""

T = TypeVar("T")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(place: Place) -> str:
    """As TOML writes it: `orgs.acme.keys."ci bot"`."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in place)


def _quoted(part: str) -> str:
    """TOML's basic strings are JSON's, but for DEL."""
    return json.dumps(part, ensure_ascii=False).replace("\x7f", "\\u007f")


def amount_of(micro: int) -> str:
    """Millionths as the file writes them: `2.5`."""
    whole, rest = divmod(micro, MICRO)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


FILE_NAMES = {
    "compute_per_s": "compute_seconds_per_second",
    "compute_burst": "compute_seconds_burst",
    "max_sessions": "max_sessions",
    "starts_per_s": "session_starts_per_second",
    "starts_burst": "session_starts_burst",
    "is_shadow": "shadow",
}
"""What the fields of LimitTerms are called in the file."""


class Unlimited(StrEnum):
    """Said where a limit of a wider place is lifted."""

    unlimited = "unlimited"


UNLIMITED = Unlimited.unlimited


@dataclass(frozen=True, slots=True)
class LimitTerms:
    """What one place says of the limits of one level; None: nothing. Units as in policies.plans.Rate."""

    compute_per_s: int | Unlimited | None = None
    compute_burst: int | None = None
    max_sessions: int | Unlimited | None = None
    starts_per_s: int | Unlimited | None = None
    starts_burst: int | None = None
    is_shadow: bool | None = None


_SAYS_NOTHING = LimitTerms()


@dataclass(frozen=True, slots=True)
class Terms:
    """What one place says: a plan, or what an org, a project or a key changes of it; None: nothing.

    `governs`: the widest level whose limits it may change; a project cannot change what all of its org share.
    """

    place: Place
    governs: Level
    org: LimitTerms = _SAYS_NOTHING
    project: LimitTerms = _SAYS_NOTHING
    key: LimitTerms = _SAYS_NOTHING
    is_shadow: bool | None = None
    """Of every level that this place governs, where the level's own says nothing."""
    max_session_ms: int | None = None
    when_exhausted: WhenExhausted | None = None
    when_limiter_away: WhenLimiterAway | None = None
    rater: Rater | None = None
    tier: Tier | None = None
    when_log_unwritable: WhenLogUnwritable | None = None

    def of(self, level: Level) -> LimitTerms:
        match level:
            case Level.key:
                return self.key
            case Level.project:
                return self.project
            case Level.org:
                return self.org

    def may_change(self, level: Level) -> bool:
        return _WIDTH[level] <= _WIDTH[self.governs]


_WIDTH = {level: width for width, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Said(Generic[T]):
    """A value, and where it is said."""

    value: T
    place: Place


@dataclass(frozen=True, slots=True)
class SaidLimits:
    """The limits of one level, each with the place that won."""

    compute_per_s: Said[int | Unlimited] | None = None
    compute_burst: Said[int] | None = None
    max_sessions: Said[int | Unlimited] | None = None
    starts_per_s: Said[int | Unlimited] | None = None
    starts_burst: Said[int] | None = None
    is_shadow: Said[bool] | None = None

    def limits(self) -> LevelLimits:
        sessions = None if self.max_sessions is None else self.max_sessions.value
        return LevelLimits(
            compute=_rate(self.compute_per_s, self.compute_burst),
            max_sessions=None if isinstance(sessions, Unlimited) else sessions,
            starts=_rate(self.starts_per_s, self.starts_burst),
            is_shadow=self.is_shadow is not None and self.is_shadow.value,
        )


def said_limits(chain: Sequence[Terms], level: Level) -> SaidLimits:
    """Of a chain of places, narrowest first."""
    places = [
        ((*terms.place, level.value), terms.of(level), terms.place, terms.is_shadow)
        for terms in chain
        if terms.may_change(level)
    ]
    if not any(limits is not _SAYS_NOTHING or is_shadow is not None for _, limits, _, is_shadow in places):
        return _NOTHING_SAID
    return SaidLimits(
        compute_per_s=narrowest((place, limits.compute_per_s) for place, limits, _, _ in places),
        compute_burst=narrowest((place, limits.compute_burst) for place, limits, _, _ in places),
        max_sessions=narrowest((place, limits.max_sessions) for place, limits, _, _ in places),
        starts_per_s=narrowest((place, limits.starts_per_s) for place, limits, _, _ in places),
        starts_burst=narrowest((place, limits.starts_burst) for place, limits, _, _ in places),
        is_shadow=narrowest(
            flag
            for place, limits, above, is_shadow in places
            for flag in ((place, limits.is_shadow), (above, is_shadow))
        ),
    )


_NOTHING_SAID = SaidLimits()


def narrowest(said: Iterable[tuple[Place, T | None]]) -> Said[T] | None:
    """The first that says something."""
    for place, value in said:
        if value is not None:
            return Said(value, place)
    return None


def _rate(per_s: Said[int | Unlimited] | None, burst: Said[int] | None) -> Rate | None:
    if per_s is None or isinstance(per_s.value, Unlimited):
        return None
    # A file that leaves the burst out is refused (policies.plan_checks); a rule answers all the same.
    return Rate(per_s=per_s.value, burst=per_s.value if burst is None else burst.value)
