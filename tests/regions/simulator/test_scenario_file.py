"""Scenario files: what is wrong is told with its place, and what is right becomes the world that is simulated."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Tier
from regions.simulator.scenario import HOUR_MS, FleetKind, ProfileShare
from regions.simulator.scenario_file import (
    WITHOUT_PROFILE,
    ScenarioRefused,
    check_scenario,
    find_scenarios,
    read_scenario,
    with_change,
)

pytestmark = pytest.mark.unit

HERE = Path(__file__).parent
LEAST: dict[str, Any] = {"name": "mine", "summary": "Mine.", "fleet": [{"kind": "spot"}, {"kind": "patchbay"}]}


def mistakes_of(tree: dict[str, Any], **changes: Any) -> list[str]:
    with pytest.raises(ScenarioRefused) as refused:
        check_scenario(tree, changes, beside=HERE)
    return list(refused.value.mistakes)


@pytest.mark.parametrize("name", find_scenarios())
def test_what_is_shipped_is_good_and_asks_a_question(name: str) -> None:
    read = read_scenario(find_scenarios()[name])
    assert read.scenario.name == name
    assert read.question.endswith("?")
    kinds = {fleet.kind for fleet in read.scenario.fleets}
    assert kinds >= {FleetKind.reserved, FleetKind.spot, FleetKind.fallback, FleetKind.patchbay}


def test_the_day_has_fifty_regions_and_a_million_sessions() -> None:
    scenario = read_scenario(find_scenarios()["world-day"]).scenario
    assert len({region.name for region in scenario.regions}) == 50
    assert scenario.traffic.sessions_per_day == 1_000_000


def test_every_mistake_is_told_with_its_place() -> None:
    tree = LEAST | {
        "pitch": 3,
        "days": -1,
        "traffic": {"tries": 0, "tier_permille": {"premium": 600, "economy": 600}},
        "fleet": [{"name": "mine", "kind": "spot", "floor_permille": 5}, {"kind": "magic"}],
        "strike": [{"kind": "spot_storm", "region": "*", "at": "peak"}],
    }
    assert [mistake.split(": ")[0] for mistake in mistakes_of(tree)] == [
        "days",
        "traffic.tier_permille",
        "traffic.tries",
        "fleet.mine",
        "fleet.1.kind",
        "strike.0",
        "pitch",
    ]


def test_names_that_are_nowhere_are_mistakes() -> None:
    tree = LEAST | {
        "residency": {
            "profiles": {"eu": ["eu-west", "eu-wset"]},
            "default": ["nowhere"],
            "jurisdictions": {"x": ["x"]},
        },
        "callers": [{"profile": "ue", "permille": 10, "homes": ["us-wset"]}],
        "strike": [{"kind": "lose_region", "region": "eu-wset", "at": 3.0}],
    }
    assert mistakes_of(tree) == [
        "residency.profiles.eu: eu-wset is no region of this world",
        "residency.default: nowhere is no region of this world",
        "residency.jurisdictions.x: no region in it has engines and is in this world",
        "residency.default: no region in it has engines and is in this world",
        "callers.0.profile: residency has no profile ue",
        "callers.0.homes: us-wset serves nobody in this world",
        "callers.0: no region of this world is their home",
        "strike.0.region: eu-wset serves nobody in this world",
    ]


def test_callers_whom_gateways_would_refuse_are_a_mistake() -> None:
    tree = LEAST | {
        "world": {"regions": ["eu-west", "us-east"]},
        "residency": {"jurisdictions": {"eu": ["eu"]}},
        "callers": [{"profile": "eu", "permille": 1_000, "jurisdictions": ["eu"]}],
    }
    assert mistakes_of(tree) == [
        "residency.default: without it, gateways refuse callers without a profile; there are some in us-east"
    ]
    assert mistakes_of(
        tree | {"callers": [{"profile": "eu", "permille": 600}, {"profile": "eu", "permille": 600}]}
    ) == [
        "callers: 1200 permille of those of eu-west have a profile",
        "callers: 1200 permille of those of us-east have a profile",
    ]


def test_callers_without_a_profile_have_the_default_as_their_policy_set() -> None:
    tree = LEAST | {
        "world": {"regions": ["eu-west", "us-east"]},
        "residency": {"profiles": {"eu": ["eu-west"]}, "default": ["us-east"]},
        "callers": [{"profile": "eu", "permille": 600, "homes": ["eu-west"]}],
    }
    scenario = check_scenario(tree, beside=HERE).scenario
    assert scenario.profiles == {"eu": frozenset({"eu-west"}), WITHOUT_PROFILE: frozenset({"us-east"})}
    assert scenario.shares == (
        ProfileShare("eu", 600, frozenset({"eu-west"})),
        ProfileShare(WITHOUT_PROFILE, 400, frozenset({"eu-west"})),
        ProfileShare(WITHOUT_PROFILE, 1_000, frozenset({"us-east"})),
    )


def test_the_scale_is_of_the_callers_and_tiers_are_shares_of_them() -> None:
    traffic = check_scenario(
        LEAST | {"scale": 0.5, "traffic": {"sessions_per_day": 1_001}}, beside=HERE
    ).scenario.traffic
    assert traffic.sessions_per_day == 500
    assert traffic.tier_permille == {Tier.premium: 100, Tier.economy: 300}


def test_a_strike_at_the_peak_waits_for_the_peak_of_that_region_on_that_day() -> None:
    tree = LEAST | {
        "days": 2.0,
        "strike": [
            {"kind": "lose_region", "region": "us-west", "at": "peak"},
            {"kind": "lose_region", "region": "us-west", "at": "peak", "day": 2, "for_hours": 0.5},
        ],
    }
    first, second = check_scenario(tree, beside=HERE).scenario.strikes
    assert first.at_ms == 22 * HOUR_MS  # 14:00 at UTC-8
    assert (second.at_ms - first.at_ms, second.for_ms) == (24 * HOUR_MS, HOUR_MS // 2)
    tree["days"] = 1.0
    assert mistakes_of(tree) == ["strike.1.at: the scenario is over by then, it has 1 days"]


def test_a_lost_region_of_the_command_line_comes_beside_those_of_the_file() -> None:
    lost = [{"kind": "lose_region", "region": "us-east", "at": "peak"}]
    read = read_scenario(find_scenarios()["small"], {"days": 2.0}, lost=lost)
    assert [strike.region for strike in read.scenario.strikes] == ["eu-west", "us-east"]
    assert read.scenario.days == 2.0


def test_a_sweep_varies_one_setting_and_a_wrong_value_is_a_mistake_with_its_number() -> None:
    sweep = {"key": "spot.correlation_permille", "values": [0, 1_000], "fleets": ["patchbay"]}
    read = check_scenario(LEAST | {"sweep": sweep}, beside=HERE)
    assert [variation.scenario.spot.correlation_permille for variation in read.variations] == [0, 1_000]
    assert read.sweep_fleets == {"patchbay"}
    assert mistakes_of(LEAST | {"sweep": sweep | {"values": [0, 2_000], "fleets": ["others"]}}) == [
        "sweep.fleets: no fleet is named others",
        "sweep.values.1: spot.correlation_permille: must be less than or equal to 1000",
    ]


def test_a_change_finds_its_table_by_name_kind_or_number() -> None:
    tree = {"fleet": [{"kind": "spot"}, {"name": "ours", "kind": "patchbay"}]}
    assert with_change(tree, "fleet.spot.zones", 1)["fleet"][0] == {"kind": "spot", "zones": 1}
    assert with_change(tree, "fleet.ours.zones", 2)["fleet"][1]["zones"] == 2
    assert with_change(tree, "fleet.1.zones", 3)["fleet"][1]["zones"] == 3
    assert with_change(tree, "spot.notice_s", 4) == tree | {"spot": {"notice_s": 4}}
    assert tree == {"fleet": [{"kind": "spot"}, {"name": "ours", "kind": "patchbay"}]}
    with pytest.raises(ScenarioRefused, match="there is no theirs"):
        with_change(tree, "fleet.theirs.zones", 1)
    with pytest.raises(ScenarioRefused, match="no table"):
        with_change({"days": 1.0}, "days.long", 1)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("*") | st.just("peak"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "name", "region", "at", "eu", "values", "key"]), inner, max_size=4)
    ),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        *("name", "days", "scale", "world", "world.catalog", "world.regions", "world.demand", "world.demand.eu-west"),
        *(
            "residency",
            "residency.profiles",
            "residency.default",
            "callers",
            "traffic",
            "traffic.tier_permille",
            "fleet",
        ),
        *("fleet.spot.zones", "fleet.patchbay", "strike", "sweep", "sweep.key", "placement.weights", "target", "spot"),
    ]
)


@given(st.dictionaries(PLACES, VALUES, min_size=1, max_size=4))
def test_a_wrong_file_is_refused_and_never_breaks_the_reader(changes: dict[str, Any]) -> None:
    try:
        read = check_scenario(LEAST, changes, beside=HERE)
    except ScenarioRefused as refused:
        mistakes = refused.mistakes
    else:
        mistakes = ()
        assert read.scenario.fleets
    assert all(mistake.strip() for mistake in mistakes)


@given(st.text(max_size=40))
def test_text_that_is_no_scenario_is_refused(text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    with pytest.raises(ScenarioRefused):
        check_scenario(tree, beside=HERE)


def test_a_file_that_is_not_there_or_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioRefused, match="No such file"):
        read_scenario(tmp_path / "nothing.toml")
    (tmp_path / "odd.toml").write_bytes(b"days = \xff")
    with pytest.raises(ScenarioRefused, match="not UTF-8"):
        read_scenario(tmp_path / "odd.toml")
    (tmp_path / "odd.toml").write_text("days = ", encoding="utf-8")
    with pytest.raises(ScenarioRefused, match="not TOML"):
        read_scenario(tmp_path / "odd.toml")
