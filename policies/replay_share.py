"""How much of an engine replays may take while they catch up. Pure rules.

A session that was lost somewhere else brings a backlog: audio since its last final. It is recognised at `speed` times
real time while new audio goes on coming, so a backlog of B takes B / (speed - 1): 12 s take 4 s at 4 times real time,
and 48 s at 1.25 times. While it catches up a stream costs `speed` streams. Slots say how many streams an engine serves
in real time; replays live on what is left above that, and on a share that is set aside for them.
"""

from __future__ import annotations

from dataclasses import dataclass

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """`share_permille`: compute that replays may take beyond real time, of what all slots take."""

    share_permille: int = 250

    def __post_init__(self) -> None:
        if self.share_permille < 1:
            raise ValueError("replays need some share: without one no lost session goes on")


@dataclass(frozen=True, slots=True)
class Room:
    """`slots_free`: what these take nobody takes, so replays have it beside their share; 0: the engine is full."""

    slots_total: int
    slots_free: int = 0


def replays_at_once(room: Room, *, speed_permille: int, limits: ReplayLimits) -> int:
    """Give how many streams may catch up at once; at least one, or an engine would never take a lost session.

    Args:
        speed_permille: how fast each of them is replayed, against 1000 for real time.
    """
    beyond_real_time = max(1, speed_permille - _PERMILLE)
    spare_permille = room.slots_total * limits.share_permille + room.slots_free * _PERMILLE
    return max(1, spare_permille // beyond_real_time)


def admits_replay(room: Room, *, catching_up: int, speed_permille: int, limits: ReplayLimits) -> bool:
    """Whether an engine takes one more stream with a backlog, beside those that are catching up."""
    return catching_up < replays_at_once(room, speed_permille=speed_permille, limits=limits)
