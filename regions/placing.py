"""The border between a session and placement: where its engine streams are opened is decided behind an EnginePool.

One pool a session: it knows the session's policy set and tier, where the session is, and where it failed a moment ago.
Nothing here waits; see regions.links.interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.plans import Tier
    from policies.residency.permitted import Permitted
    from policies.residency.vocabulary import Trigger
    from policies.routing_facts import CapacityClass, RouteDecision
    from regions.links.interface import EnginePool


@dataclass(frozen=True, slots=True)
class Shed:
    """A session is to end because one of a higher tier needs its slot.

    Attributes:
        grace_ms: how long it may go on with its utterance.
        retry_after_ms: for its client.
    """

    for_tier: Tier
    grace_ms: int
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Placed:
    """An engine took a stream of the session, or policy left no region that it could be asked for.

    Attributes:
        from_region: where the session was; empty: nowhere.
        chosen: where the engine is; empty: policy permits no region.
        capacity: of the engine; None: not known, as of most engines behind a relay.
        permitted: the regions of the policy set at that moment, before anything else was asked.
    """

    trigger: Trigger
    from_region: str
    chosen: str
    capacity: CapacityClass | None
    permitted: frozenset[str]
    goes_on: bool


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """What placement has to know of a session, for all of its life.

    Attributes:
        draw_permille: as in RouteRequest.
        end: ends the session for one of a higher tier; False: it ends already. None: nobody may end it so.
        on_placed: told of where its streams are granted; it must be quick and not raise.
        grant: makes the placement grant that goes with its streams, from the caller's policy set and not from what
            placement chose; None: none goes with them.
    """

    session_id: str
    permitted: Permitted
    tier: Tier
    draw_permille: int
    end: Callable[[Shed], bool] | None = None
    on_placed: Callable[[Placed], None] | None = None
    grant: Callable[[], bytes] | None = None


class SessionPool(Protocol):
    """An EnginePool of one session (regions.links.interface), and where it went last.

    Its streams never leave `permitted`. An open beyond the retry budget, or while re-placements are paced, is answered
    with `Refused` and when to ask again.
    """

    def pool(self) -> EnginePool:
        """Where the session opens its streams."""

    @property
    def region(self) -> str | None:
        """Of the stream that was granted last."""

    @property
    def regions(self) -> frozenset[str]:
        """Of all streams that are granted; two while it moves."""

    @property
    def decision(self) -> RouteDecision | None:
        """The last one about it; None: there was nothing to decide."""

    def permit(self, permitted: Permitted, *, at_once: frozenset[str] = frozenset()) -> None:
        """The policy set is another one from here on; a stream outside of it hears `MoveAway`, and is handed back when
        its time is over. Of regions of `at_once` it is handed back now, and nothing more is sent there.
        """

    def close(self) -> None:
        """The session is over."""


class Placement(Protocol):
    """Places sessions of this gateway, in this region and in others. regions.placement.RegionalPlacement is one."""

    def session(self, place: SessionPlace) -> SessionPool:
        """A pool for a session that begins."""
