"""Policy sets that a test gives, of a gateway that is alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.admission.policy_sets import PolicySet, SetsWithoutRules
from gateway.errors import SessionRefused
from policies.residency.situation import NOTHING_STATED
from regions.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.places import Place
    from policies.facts import Caller
    from policies.residency.situation import Stated


class GivenPolicySets(SetsWithoutRules):
    """gateway.admission.policy_sets.PolicySets.

    Args:
        answer: gives the set of a caller, or why he has none.
        refusal: gives why this gateway may not end a connection.
        at_once: regions that are left at once.
    """

    def __init__(
        self,
        answer: Callable[[Caller], PolicySet | SessionRefused],
        *,
        refusal: Callable[[PolicySet], SessionRefused | None] = lambda _policies: None,
        at_once: frozenset[str] = frozenset(),
        region: str = "here",
        catalog: Catalog | None = None,
    ) -> None:
        super().__init__(region=region, catalog=lambda: catalog or Catalog())
        self._answer = answer
        self._refusal = refusal
        self._at_once = at_once

    @classmethod
    def all_in(cls, *regions: str, here: str = "here") -> GivenPolicySets:
        """Everybody may be in these."""
        return cls(lambda _caller: PolicySet.of_list(frozenset(regions)), region=here)

    def permitted(
        self, caller: Caller, request: Stated = NOTHING_STATED, place: Place | None = None
    ) -> PolicySet | SessionRefused:
        return self._answer(caller)

    def refusal_here(self, policies: PolicySet, place: Place | None) -> SessionRefused | None:
        return self._refusal(policies)

    def leaves_at_once(self, policies: PolicySet) -> frozenset[str]:
        return self._at_once
