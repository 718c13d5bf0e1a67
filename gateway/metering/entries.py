"""What is written down of a session's usage: slices as they are settled, events as they are billed. Pure.

A *slice* is what one session used in about a second. Slices are numbered from 0 without a gap, so that settling is
idempotent by (session, number). An *event* covers consecutive slices, is made by the script in the step that settles
them, and has an id that follows from what it covers.
"""

from __future__ import annotations

import uuid

import msgspec

_NAMESPACE = uuid.UUID("6f0b1f0a-6f0e-5d0c-9d6c-0f7a3d1b2c55")
MS_PER_HOUR = 3_600_000


class Slice(msgspec.Struct, frozen=True, array_like=True):
    """`at_ms`: Unix time of its end, by the gateway's clock; the hour that it is billed in."""

    number: int
    compute_us: int
    audio_ms: int
    connection_ms: int
    at_ms: int


class TabLabels(msgspec.Struct, frozen=True):
    """What is said once of a session and repeated in each of its events. No content; `key` is a pseudonym."""

    session_id: str
    org: str
    project: str
    key: str
    plan: str
    rater: str
    rating_version: str
    region: str
    add_ons: tuple[str, ...] = ()


class UsageEvent(msgspec.Struct, frozen=True):
    """What a session used in the slices `first` to `last`, both included; never over the end of an hour.

    `audio_before_ms`, `connection_before_ms`: used in all slices before `first`, so that roundings for each session
    add up over its events (policies.rating). `is_last`: nothing of the session follows.
    """

    labels: TabLabels
    first: int
    last: int
    compute_us: int
    audio_ms: int
    connection_ms: int
    audio_before_ms: int
    connection_before_ms: int
    at_ms: int
    is_last: bool

    @property
    def id(self) -> str:
        """The same for the same slices, whoever makes it (UUID version 5, RFC 9562 §5.5)."""
        name = f"{self.labels.session_id}:{self.first}:{self.last}:{self.labels.rating_version}"
        return str(uuid.uuid5(_NAMESPACE, name))

    @property
    def hour(self) -> int:
        """Unix hours."""
        return self.at_ms // MS_PER_HOUR
