"""Faults are checked by themselves, and against the world that they name."""

from __future__ import annotations

from typing import Any

import pytest

from regions.lab.drill_file import DrillRefused, check_drill
from regions.lab.fault_spec import FaultKind, FaultSpec, target_mistakes
from regions.lab.world_spec import ResidencySpec, WorldSpec

pytestmark = pytest.mark.unit

LEAST: dict[str, Any] = {"name": "mine", "summary": "Something breaks.", "callers": [{"count": 2}]}
WORLD = WorldSpec(regions=2, spot=2, zones=2, redis_replica=True, webtransport=True)


def mistakes_of(**more: Any) -> list[str]:
    with pytest.raises(DrillRefused) as refused:
        check_drill(LEAST | more)
    return refused.value.mistakes


@pytest.mark.parametrize(
    ("fault", "mistake"),
    [
        ({"kind": "kill"}, "kill needs a target"),
        ({"kind": "hang", "target": "engine/*"}, "hang needs for_s"),
        ({"kind": "darken", "target": "engine/*", "for_s": 1}, "the target must begin with link/"),
        ({"kind": "partition", "for_s": 1}, "partition, and nothing else, needs between"),
        ({"kind": "conditions", "target": "link/*"}, "conditions, and nothing else, needs conditions"),
        ({"kind": "kill", "target": "engine/*", "times": 2}, "times needs every_s or between_s"),
        ({"kind": "kill", "target": "engine/*", "between_s": [4, 2]}, "the earlier first"),
        ({"kind": "explode", "target": "engine/*"}, "Input should be"),
    ],
)
def test_a_fault_that_cannot_be_is_told(fault: dict[str, Any], mistake: str) -> None:
    (told,) = mistakes_of(fault=[fault])
    assert told.startswith("fault.0")
    assert mistake in told


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.kill, "zone/west/a"),
        (FaultKind.preempt, "engine/west/spot-*"),
        (FaultKind.preempt, "zone/*"),
        (FaultKind.operate, "region/west"),
        (FaultKind.operate, "pool/*/spot"),
        (FaultKind.operate, "engine/west/spot-1"),
        (FaultKind.upgrade, "gateway/*"),
        (FaultKind.upgrade, "engine/*"),
        (FaultKind.fail_over, "redis/west"),
        (FaultKind.kill, "edge/west/1"),
        (FaultKind.darken, "link/webtransport/west/*"),
    ],
)
def test_what_game_days_need_can_be_named(kind: FaultKind, target: str) -> None:
    assert target_mistakes(FaultSpec(kind=kind, target=target, for_s=1), WORLD) == []


@pytest.mark.parametrize(
    ("kind", "target", "mistake"),
    [
        (FaultKind.preempt, "gateway/west/1", "preempt is for scripted engines"),
        (FaultKind.operate, "gateway/west/1", "operate is about regions, pools and engines"),
        (FaultKind.operate, "pool/mars/spot", "operate is about regions, pools and engines"),
        (FaultKind.kill, "pool/west/spot", "kill is not for pools"),
        (FaultKind.upgrade, "redis/west", "upgrade is for engines and gateways"),
        (FaultKind.fail_over, "engine/west/spot-1", "fail_over is for a Redis"),
        (FaultKind.hang, "edge/west/1", "hang is not for edges"),
        (FaultKind.kill, "link/webtransport/west/1", "kill is not for links"),
        (FaultKind.kill, "zone/west/d", "nothing in this world is named zone/west/d"),
    ],
)
def test_what_cannot_be_done_to_it_is_told(kind: FaultKind, target: str, mistake: str) -> None:
    (told,) = target_mistakes(FaultSpec(kind=kind, target=target, for_s=1), WORLD)
    assert mistake in told


def test_a_redis_without_a_replica_cannot_fail_over() -> None:
    fault = FaultSpec(kind=FaultKind.fail_over, target="redis/west", for_s=1)
    assert target_mistakes(fault, WorldSpec()) == [
        "fail_over is for a Redis, redis/NAME, in a world with redis_replica = true"
    ]


@pytest.mark.parametrize(
    ("fault", "mistakes"),
    [
        ({"kind": "policy_change", "profile": "inner", "to": ["west"]}, []),
        ({"kind": "policy_change", "profile": "inner", "to": []}, []),
        ({"kind": "expire_bundle", "by_s": 3}, []),
        ({"kind": "expire_row", "target": "region/west", "by_s": 3}, []),
        ({"kind": "embargo", "target": "region/*"}, []),
        ({"kind": "corrupt_bundle", "target": "region/west", "for_s": 1, "how": "foreign"}, []),
        ({"kind": "policy_change", "profile": "inner", "to": ["mars"]}, ["to: mars is no region of this world"]),
        ({"kind": "policy_change", "to": ["west"]}, ["profile: world.profiles has no nameless one"]),
        (
            {"kind": "expire_row", "target": "gateway/west/1"},
            ["expire_row is for regions: the target must begin with region/"],
        ),
    ],
)
def test_what_befalls_policy_fits_the_world(fault: dict[str, object], mistakes: list[str]) -> None:
    world = WorldSpec(regions=2, profiles={"inner": ("west",)}, residency=ResidencySpec())
    assert target_mistakes(FaultSpec.model_validate(fault), world) == mistakes
    without = target_mistakes(FaultSpec.model_validate(fault), WorldSpec(regions=2, profiles={"inner": ("west",)}))
    assert without == [f"{fault['kind']} needs world.residency"]
