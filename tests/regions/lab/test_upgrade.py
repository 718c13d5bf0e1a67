"""A rolling upgrade touches one process after the other, and stops at the first that does not serve again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from regions.lab.fault_spec import FaultKind, FaultSpec
from regions.lab.operator import OrderedTarget, OrderRun
from regions.lab.processes import ProcessFailed
from regions.lab.upgrade import RollingUpgrade
from regions.lab.world_spec import WorldSpec

pytestmark = pytest.mark.unit

UPGRADE = FaultSpec(kind=FaultKind.upgrade, target="*/west/*")


@dataclass
class _Member:
    name: str
    process: None = None


@dataclass
class _Lab:
    """A process table, a world and an operator in one: writes down what is asked of them."""

    broken: str = ""
    done: list[str] = field(default_factory=list)
    spec: WorldSpec = field(default_factory=lambda: WorldSpec(regions=2))

    @property
    def table(self) -> _Lab:
        return self

    @property
    def members(self) -> dict[str, _Member]:
        return {name: _Member(name) for name in ("engine/west/spot-1", "gateway/west/1", "gateway/west/2")}

    def ordered(self, name: str) -> OrderedTarget:
        return OrderedTarget("engine", "west", name)

    def terminate(self, member: _Member, *, down_s: float | None) -> None:
        assert down_s is None
        self.done.append(f"end {member.name}")

    async def start(self, member: _Member) -> None:
        if member.name == self.broken:
            raise ProcessFailed("it ended with 1")
        self.done.append(f"start {member.name}")

    async def is_ready(self, name: str) -> bool:
        self.done.append(f"ready {name}")
        return True

    async def give(self, _: OrderedTarget, fault: FaultSpec, *, name: str) -> OrderRun:
        self.done.append(f"{fault.act} {name}")
        return OrderRun(name, fault.act, 0.0)

    async def watch(self, _: OrderedTarget, run: OrderRun, *, within_s: float) -> bool:
        self.done.append(f"empty {run.target}")
        return within_s > 0

    async def is_serving(self, region: str, _: str) -> bool:
        self.done.append(f"serving in {region}")
        return True


def upgrade_of(lab: _Lab) -> RollingUpgrade:
    return RollingUpgrade(cast("Any", lab), cast("Any", lab))


async def test_an_engine_is_emptied_by_order_and_a_gateway_ends_by_itself_one_after_the_other() -> None:
    lab = _Lab()
    upgrade = upgrade_of(lab)
    await upgrade.run(["engine/west/spot-1", "gateway/west/1"], UPGRADE)
    assert lab.done == [
        "drain engine/west/spot-1",
        "empty engine/west/spot-1",
        "end engine/west/spot-1",
        "start engine/west/spot-1",
        "undrain engine/west/spot-1",
        "serving in west",
        "end gateway/west/1",
        "start gateway/west/1",
        "ready gateway/west/1",
    ]
    assert upgrade.done == ["engine/west/spot-1", "gateway/west/1"]


async def test_it_stops_at_the_first_that_does_not_come_back() -> None:
    lab = _Lab(broken="gateway/west/1")
    upgrade = upgrade_of(lab)
    await upgrade.run(["gateway/west/1", "gateway/west/2"], UPGRADE)
    assert lab.done == ["end gateway/west/1"]
    assert (upgrade.done, upgrade.failures) == ([], ["gateway/west/1: it ended with 1"])
