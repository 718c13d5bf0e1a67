"""Policy sets of a gateway whose region is the only one there is."""

from __future__ import annotations

from gateway.admission.policy_sets import PolicySet
from tests.fakes.policy_sets import GivenPolicySets


class ThisRegionOnly(GivenPolicySets):
    """Everybody is served here, and nowhere else."""

    def __init__(self, region: str) -> None:
        super().__init__(lambda _caller: PolicySet.of_list(frozenset({region})), region=region)
