"""Promises of a replica's facts: what it takes is told from its report and the stream's wishes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.interface import LoadReport, ModelLoad, OpenStream, RefusalReason, StreamOptions
from policies.plans import Tier
from policies.replica_choice import NoReplica, ReplicaFacts
from policies.routing_facts import CapacityClass
from policies.tier_classes import ClassRule
from policies.tier_slots import TierHeadroom
from regions.discovery.interface import EngineAddress
from regions.links.engine_report import EngineReport
from regions.links.member import Member, RoomRules, room_for
from regions.links.membership import Entry
from tests.fakes.region_pool import FakeLink, status_of

pytestmark = pytest.mark.unit


def load(*models: ModelLoad) -> LoadReport:
    return LoadReport(
        pool="p",
        models=models,
        slots_total=sum(model.slots_total for model in models),
        slots_used=sum(model.slots_used for model in models),
        queued_audio_ms=0,
        step_p50_us=0,
        busy_permille=0,
        is_draining=False,
    )


def model(version: str, *, used: int = 0, is_leaving: bool = False) -> ModelLoad:
    return ModelLoad(name="en", version=version, language="en", slots_total=8, slots_used=used, is_leaving=is_leaving)


REPORT = load(model("1", used=7, is_leaving=True), model("2", used=3))


@pytest.mark.parametrize(
    ("options", "room"),
    [
        (StreamOptions(), 5),
        (StreamOptions(model="en"), 5),
        (StreamOptions(model="en", model_version="1"), 1),
        (StreamOptions(model="de"), RefusalReason.unknown_model),
        (StreamOptions(model="en", model_version="3"), RefusalReason.unknown_model),
        (StreamOptions(language="fr"), RefusalReason.unsupported_language),
    ],
)
def test_room_is_that_of_the_model_that_fits_best(options: StreamOptions, room: int | RefusalReason) -> None:
    assert room_for(REPORT, options) == room


def test_a_model_that_leaves_takes_only_who_is_bound_to_it() -> None:
    assert room_for(load(model("1", is_leaving=True)), StreamOptions()) == 0


LEAVES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"is_draining": True}, {}, {}),
    ({"leaves_in_ms": 30_000}, {}, {}),
    ({}, {"is_draining": True}, {}),
    ({}, {}, {"retiring_since_ms": 5}),
]


def member(of_load: dict[str, Any], of_address: dict[str, Any], of_entry: dict[str, Any]) -> tuple[Member, LoadReport]:
    report = msgspec.structs.replace(REPORT, **of_load)
    entry = Entry(EngineAddress("fake:1", **of_address), 0, outlives_listing=False, **of_entry)
    link: Any = FakeLink(load=report)
    return Member(entry, link, holds_out=False), report


@pytest.mark.parametrize(("of_load", "of_address", "of_entry"), LEAVES)
def test_whoever_says_that_it_goes_is_believed(
    of_load: dict[str, Any], of_address: dict[str, Any], of_entry: dict[str, Any]
) -> None:
    one, report = member(of_load, of_address, of_entry)
    assert one.report() == EngineReport(one.entry.facts, report, is_leaving=True)


def facts(
    one: Member, tier: Tier, *, classes: ClassRule | None = None, pool: CapacityClass | None = None
) -> ReplicaFacts:
    rules = RoomRules(tier, TierHeadroom(0, 0), classes, lambda _name: pool)
    stream = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    return one.facts(stream, rules, 1_000, ramp_permille=250)


def test_its_class_is_that_of_its_pool_and_else_what_discovery_says() -> None:
    one, _ = member({}, {"capacity": CapacityClass.spot}, {})
    assert facts(one, Tier.standard).capacity is CapacityClass.spot
    assert facts(one, Tier.standard, pool=CapacityClass.reserved).capacity is CapacityClass.reserved
    assert facts(one, Tier.standard).ramp_permille == 250


def test_a_tier_finds_no_more_room_than_it_may_have_of_that_class() -> None:
    one, report = member({}, {}, {})
    assert (report.slots_total, report.slots_used) == (16, 10)
    assert facts(one, Tier.economy).free_slots == 5
    assert facts(one, Tier.economy, classes=ClassRule(reserved_permille=700)).free_slots == 0
    assert facts(one, Tier.economy, classes=ClassRule((CapacityClass.spot,))).free_slots <= 0


def test_a_machine_that_may_go_away_is_said_to_be_at_risk() -> None:
    assert facts(member({"is_at_risk": True}, {}, {})[0], Tier.standard).is_at_risk
    assert facts(member({"leaves_in_ms": 9}, {}, {})[0], Tier.standard).is_at_risk
    assert not facts(member({}, {}, {})[0], Tier.standard).is_at_risk


def test_its_age_counts_from_its_first_answer() -> None:
    one, _ = member({}, {}, {})
    assert one.age_ms(5_000) == 0
    one.link.answers_since_s = 3.0  # type: ignore[misc]
    assert (one.age_ms(5_000), one.age_ms(2_000)) == (2_000, 0)


def test_one_that_stays_says_what_it_has_and_one_without_a_link_nothing() -> None:
    one, report = member({}, {}, {})
    assert one.report() == EngineReport(EngineAddress("fake:1"), report, is_leaving=False)
    link: Any = FakeLink(load=None)
    assert Member(one.entry, link, holds_out=False).report() is None


RESERVED = frozenset({CapacityClass.reserved})


@pytest.mark.parametrize(
    ("free", "unfit"),
    [
        ({"reserved": 2, "spot": 9}, None),
        ({"reserved": 0, "spot": 9}, NoReplica.no_permitted_capacity),
        ({}, NoReplica.no_permitted_capacity),  # an older relay, which does not read what it is asked for either
    ],
)
def test_a_relay_is_asked_for_one_class_only_where_it_says_what_it_has_of_it(
    free: dict[str, int], unfit: NoReplica | None
) -> None:
    one, _ = member({}, {}, {})
    link: Any = one.link
    link.region = status_of("there", classes=free)
    rules = RoomRules(Tier.standard, TierHeadroom(0, 0), None, lambda _name: None, None, RESERVED)
    stream = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    assert one.facts(stream, rules, 1_000, ramp_permille=250).unfit is unfit
    link.region = None
    assert one.facts(stream, rules, 1_000, ramp_permille=250).unfit is NoReplica.no_permitted_capacity
