"""Promises of a replica's facts: what it takes is told from its report and the stream's wishes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.interface import LoadReport, ModelLoad, RefusalReason, StreamOptions
from regions.discovery.interface import EngineAddress
from regions.links.engine_report import EngineReport
from regions.links.member import Member, room_for
from regions.links.membership import Entry
from tests.fakes.region_pool import FakeLink

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


def test_one_that_stays_says_what_it_has_and_one_without_a_link_nothing() -> None:
    one, report = member({}, {}, {})
    assert one.report() == EngineReport(EngineAddress("fake:1"), report, is_leaving=False)
    link: Any = FakeLink(load=None)
    assert Member(one.entry, link, holds_out=False).report() is None
