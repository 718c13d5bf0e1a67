"""What a relay asks before it passes a peer's audio on: the peer's grant, and the policy of its own region.

These must stay true:
  - A stream is taken only with a grant that the caller's own region signed, for this region and this session.
  - The policy of this region is asked too, and again whenever it changes: a peer with another policy, or with a wrong
    one, cannot have more here than this region permits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from policies.routing_facts import ALL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import OpenStream
    from engines.server.grants import GrantChecker
    from policies.residency.grant import PlacementGrant
    from policies.routing_facts import CapacityClass

    PermittedHere = Callable[[PlacementGrant, bool], frozenset[CapacityClass]]
    """By this region's own policy: machines that may have such a session now; none: it may not be passed on. The second
    argument: it goes on.
    """

log = structlog.get_logger("relay")


class Admitted(msgspec.Struct, frozen=True):
    """A stream of a peer that may be passed on. `opened`: on such machines, with the grant as it came."""

    opened: OpenStream
    grant: PlacementGrant


class RelayGuard:
    """Args:
    checker: of this region, as a relay.
    permitted_here: as this region's own policy says.
    leaves_at_once: whether what is not permitted any more must stop without a moment's notice.
    """

    def __init__(
        self,
        checker: GrantChecker,
        permitted_here: PermittedHere,
        leaves_at_once: Callable[[PlacementGrant], bool] = lambda _grant: False,
    ) -> None:
        self._checker = checker
        self._permitted_here = permitted_here
        self.leaves_at_once = leaves_at_once

    def admit(self, opened: OpenStream, *, peer: str) -> Admitted | str:
        """The stream as it may be opened here; else why it may not, in a word. `peer`: region of the certificate."""
        grant = self._checker.check(opened, issuer=peer)
        if isinstance(grant, str):
            return grant
        ours = self._permitted_here(grant, opened.is_replay)
        if not ours:
            return "own_policy"
        asked = ALL_CLASSES if opened.classes is None else opened.classes
        classes = asked & ours & grant.classes_in(self._checker.region, goes_on=opened.is_replay)
        if not classes:
            return "other_capacity"
        restricted = None if classes >= ALL_CLASSES else classes
        return Admitted(msgspec.structs.replace(opened, classes=restricted), grant)

    def may_stay(self, admitted: Admitted) -> bool:
        """By the policy of now; the grant was good when the stream was opened."""
        classes = ALL_CLASSES if admitted.opened.classes is None else admitted.opened.classes
        return classes <= self._permitted_here(admitted.grant, admitted.opened.is_replay)
