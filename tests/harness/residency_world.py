"""A gateway's residency as a test sees it: a bundle on disk, a clock that is set, a catalog, and who calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from gateway.admission.places import Place, PlaceSource
from gateway.residency.in_force import BundlesInForce
from gateway.residency.loading import Trust
from gateway.residency.metrics import ResidencyMetrics
from gateway.residency.policy_sets import BundlePolicySets
from policies.facts import Caller
from regions.catalog import Catalog, Location, RegionSpec
from tests.harness.residency_bundle import NOON_S, residency_files
from tests.harness.residency_folder import written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gateway.residency.break_glass_union import Glass
    from gateway.residency.last_good import LastGood
    from policies.residency.record import DecisionRecord

OPERATORS = {
    "eu-central-1": ("DE", "Amazon"),
    "eu-west-1": ("IE", "Amazon"),
    "no-east-1": ("NO", "Microsoft"),
    "us-east-1": ("US", "Amazon"),
    "kp-1": ("KP", "Microsoft"),
}


def spec_of(name: str, country: str, operator: str) -> RegionSpec:
    gateways = (f"wss://{name}.example/v1/stream",)
    return RegionSpec(name, Location(50.0, 8.0), country, frozenset(), operator, gateways, ())


CATALOG = Catalog({name: spec_of(name, *facts) for name, facts in OPERATORS.items()})


def calling(project: str = "calls", *, tenant: str = "acme", profile: str = "", country: str = "FR") -> Calling:
    return Calling(
        Caller(tenant, project, "", "", frozenset(), profile, 0),
        Place(country, "", None, PlaceSource.database) if country else None,
    )


class Calling:
    """A caller and where he is seen to be."""

    def __init__(self, caller: Caller, place: Place | None) -> None:
        self.caller = caller
        self.place = place


class Written:
    """A decision log in memory."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []
        self.is_writable = True

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)

    @property
    def actions(self) -> list[str]:
        return [record.action for record in self.records]


class ResidencyWorld:
    """`now_s` is policy's clock; `changes` counts what followers were told."""

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, bytes] | None = None,
        *,
        trust: Trust | None = None,
        last_good: LastGood | None = None,
        now_s: float = NOON_S,
        check_interval_ms: int = 1_000,
    ) -> None:
        self.now_s = now_s
        self.folder = written(folder, residency_files() if files is None else files)
        self.registry = CollectorRegistry()
        self.log = Written()
        self.changes = 0
        self.metrics = ResidencyMetrics(self.registry)
        self.in_force = BundlesInForce(
            self.folder,
            trust or Trust(),
            self.metrics,
            self.log,
            last_good=last_good,
            check_interval_ms=check_interval_ms,
            now_s=lambda: self.now_s,
        )
        self.in_force.on_change(self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def sets(
        self, here: str = "eu-central-1", *, catalog: Catalog = CATALOG, glass: Glass | None = None
    ) -> BundlePolicySets:
        if glass is None:
            return BundlePolicySets(self.in_force, region=here, catalog=lambda: catalog, metrics=self.metrics)
        return BundlePolicySets(self.in_force, region=here, catalog=lambda: catalog, metrics=self.metrics, glass=glass)

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def put(self, files: Mapping[str, bytes]) -> None:
        """Another bundle in the folder, looked at as often as it takes."""
        written(self.folder, files)
        for _ in range(3):
            await self.in_force.look()
