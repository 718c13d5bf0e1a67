"""What a plan grants: compute, sessions, starts, and what happens when they run out or cannot be asked for.

Compute is integer micro-compute-seconds. A *level* is one of the three that every spend counts against; the narrowest
one that refuses is named to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MICRO = 1_000_000
"""Micro-compute-seconds in a compute-second, and micro-starts in a session start."""
MAX_RATE_PER_S = 9_000 * MICRO
"""So that a rate times a million microseconds stays below 2**53, where Lua's numbers stop being exact."""
MAX_BURST = 1_000_000_000 * MICRO


class Level(StrEnum):
    """Narrowest first: the order in which they are checked."""

    key = "key"
    project = "project"
    org = "org"


class WhenExhausted(StrEnum):
    """What a running session does when its compute runs out."""

    throttle = "throttle"
    """Audio is held by flow control until compute is there again."""
    finish = "finish"
    """The session ends with the audio that was paid for."""


class WhenLimiterAway(StrEnum):
    """What happens to new sessions while Redis cannot be asked. Running ones go on in every mode."""

    closed = "closed"
    safe = "safe"
    """Admitted by a bucket of the gateway's own, of a stated share of the rate."""
    open = "open"


class WhenLogUnwritable(StrEnum):
    """What happens to new sessions while the decision log cannot be written. Restricted profiles are refused always."""

    admit = "admit"
    refuse = "refuse"


class Rater(StrEnum):
    """What is counted for the bill."""

    audio_second = "audio_second"
    connection_second = "connection_second"
    block_15s = "block_15s"
    """Blocks of 15 s of audio, rounded up for each session, at least one."""


class Tier(StrEnum):
    """For placement: who is served first when there is not room for all, first named first."""

    premium = "premium"
    standard = "standard"
    economy = "economy"


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `per_s` units a second, at most `burst` saved up. Integers of a millionth of what is limited."""

    per_s: int
    burst: int


@dataclass(frozen=True, slots=True)
class LevelLimits:
    """What one level may use; None: that level does not limit it. `is_shadow`: counted and told, never refused."""

    compute: Rate | None = None
    max_sessions: int | None = None
    starts: Rate | None = None
    is_shadow: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom usage counts for. `key` is a pseudonym (16 hexadecimal digits of SHA-256 over the token's subject); project
    and key are empty where the token names none, and then have no limits of their own.
    """

    org: str
    project: str
    key: str


@dataclass(frozen=True, slots=True)
class CallerPlan:
    """What holds for one caller, all overrides applied."""

    name: str
    principal: Principal
    key: LevelLimits
    project: LevelLimits
    org: LevelLimits
    max_session_ms: int
    when_exhausted: WhenExhausted
    when_limiter_away: WhenLimiterAway
    rater: Rater
    rating_version: str
    """Names the state of the plans file that this was rated by: 12 hexadecimal digits of its digest."""
    tier: Tier
    when_log_unwritable: WhenLogUnwritable = WhenLogUnwritable.admit

    def of(self, level: Level) -> LevelLimits:
        match level:
            case Level.key:
                return self.key
            case Level.project:
                return self.project
            case Level.org:
                return self.org
