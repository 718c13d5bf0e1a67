"""Policy sets of a gateway whose region is the only one there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.admission.policy_sets import PolicySet

if TYPE_CHECKING:
    from gateway.admission.places import Place
    from policies.facts import Caller
    from regions.catalog import RegionSpec


class ThisRegionOnly:
    """Everybody is served here, and nowhere else."""

    def __init__(self, region: str) -> None:
        self._permitted = PolicySet(frozenset({region}))

    def permitted(self, _caller: Caller) -> PolicySet:
        return self._permitted

    def refusal_here(self, _policies: PolicySet, _place: Place | None) -> None:
        return None

    def emptied_here(self, _policies: PolicySet, _place: Place | None) -> None:
        return None

    def regions_for(self, _policies: PolicySet | None, _place: Place | None) -> tuple[RegionSpec, ...]:
        return ()

    def gateways_for(self, _policies: PolicySet, _place: Place | None) -> tuple[str, ...]:
        return ()
