"""Drill files are read and checked as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from regions.lab.drill_file import (
    SHIPPED,
    DrillRefused,
    check_drill,
    check_world,
    find_drills,
    read_drill,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

LEAST: dict[str, Any] = {"name": "mine", "summary": "Something breaks.", "callers": [{"count": 2}]}


def mistakes_of(**more: Any) -> list[str]:
    with pytest.raises(DrillRefused) as refused:
        check_drill(LEAST | more)
    return refused.value.mistakes


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_drill_is_right_and_has_the_name_of_its_file(path: Path) -> None:
    assert read_drill(path).name == path.stem


def test_the_least_drill_has_one_region_and_no_fault() -> None:
    drill = check_drill(LEAST)
    assert (drill.world.regions, drill.fault) == (1, ())
    assert drill.must.words_lost == 0


def test_every_mistake_is_listed_with_its_place() -> None:
    mistakes = mistakes_of(
        callers=[{"count": 0}, {"count": 1, "pitch": 3}], world={"regions": 99}, must={"words_lost": -1}, colour="red"
    )
    assert [mistake.partition(":")[0] for mistake in mistakes] == [
        "world.regions",
        "callers.0.count",
        "callers.1.pitch",
        "must.words_lost",
        "colour",
    ]


def test_what_does_not_fit_together_is_listed_too() -> None:
    mistakes = mistakes_of(
        callers=[{"home": "mars"}, {"profile": "inner"}, {"audio": "dialogue_awb.wav"}],
        fault=[
            {"kind": "kill", "target": "engine/mars/*"},
            {"kind": "step_clock", "target": "engine/*", "by_s": 1},
            {"kind": "lose_data", "target": "engine/*"},
            {"kind": "lose_region", "target": "engine/*"},
            {"kind": "kill", "target": "region/west"},
            {"kind": "kill", "target": "*/west/*"},
        ],
    )
    assert [mistake.removeprefix("drill: ").partition(":")[0] for mistake in mistakes] == [
        "callers.0.home",
        "callers.1.profile",
        "callers.2.audio",
        *(f"fault.{number}" for number in range(6)),
    ]


def test_callers_speak_webtransport_and_have_quotas_only_where_the_world_has_them() -> None:
    wrong = [{"protocol": "webtransport"}, {"datagrams": True}, {"has_quota": True}, {"protocol": "smoke"}]
    assert [mistakes_of(callers=[group])[0].removeprefix("drill: ").partition(":")[0] for group in wrong] == [
        "callers.0.protocol",
        "callers.0.datagrams",
        "callers.0.has_quota",
        "callers.0.protocol",
    ]
    group = {"protocol": "webtransport", "datagrams": True, "has_quota": True}
    assert check_drill(LEAST | {"world": {"webtransport": True, "has_quota": True}, "callers": [group]})


def test_a_profile_names_regions_of_its_world() -> None:
    with pytest.raises(DrillRefused, match="names no region of this world"):
        check_world({"regions": 2, "profiles": {"inner": ["west", "east"]}})
    with pytest.raises(DrillRefused, match="nobody would recognise"):
        check_world({"reserved": 0})


def test_drills_of_a_folder_go_over_the_shipped_ones(tmp_path: Path) -> None:
    mine = tmp_path / "engine-loss.toml"
    mine.write_text('name = "engine-loss"\nsummary = "Mine."\n[[callers]]\ncount = 1\n', encoding="utf-8")
    assert read_drill(find_drills([tmp_path])["engine-loss"]).summary == "Mine."
    assert "redis-loss" in find_drills([])


def test_a_file_that_is_no_toml_or_not_there_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ", encoding="utf-8")
    for path in (broken, tmp_path / "nothing.toml"):
        with pytest.raises(DrillRefused):
            read_drill(path)
