"""What passes between a region and an org's root, whichever way it travels: typed asks, loans and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.escrow import Ask, Loan
    from policies.plans import Level, Principal

MAX_LEVELS = 256
"""In one message."""


class RootRefusal(StrEnum):
    """Why a whole message was refused; also the metric's label."""

    unauthenticated = "unauthenticated"
    unknown_region = "unknown_region"
    not_home = "not_home"
    malformed = "malformed"
    too_many_levels = "too_many_levels"
    away = "away"
    """The root's Redis cannot be asked at present, or nobody answered in time."""


class RootRefused(Exception):
    """Nothing was lent, as far as is known: a lost answer is heard of with the next one."""

    def __init__(self, refusal: RootRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class LevelAsk:
    """`plan`: the one by whose terms the caller is limited."""

    who: Principal
    level: Level
    plan: str
    ask: Ask


class Roots(Protocol):
    """The root of any org."""

    async def lend(self, org: str, asks: Sequence[LevelAsk]) -> Sequence[Loan]:
        """A loan for each ask, in their order. All asks are of `org`; at most MAX_LEVELS.

        Raises:
            RootRefused: for the reason that it names; `away` is worth another try.
        """
