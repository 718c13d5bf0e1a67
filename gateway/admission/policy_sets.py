"""What a caller's agreement permits: where his audio may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.errors import SessionRefused
    from policies.facts import Caller


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What holds for one session. `regions`: those whose engines may hear it."""

    regions: frozenset[str]


class PolicySets(Protocol):
    """The policy set of each caller."""

    def permitted(self, caller: Caller) -> PolicySet | SessionRefused:
        """His set, or why he may not be served here. Does not wait and does not raise."""


class ThisRegionOnly:
    """Everybody is served here, and nowhere else."""

    def __init__(self, region: str) -> None:
        self._permitted = PolicySet(frozenset({region}))

    def permitted(self, _caller: Caller) -> PolicySet:
        return self._permitted
