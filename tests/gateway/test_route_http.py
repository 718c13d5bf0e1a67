"""Why a session is placed there, as an administrator's program reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.admission.policy_sets import CatalogPolicySets
from gateway.admission.residency_settings import ProfileLists
from gateway.route_http import QuestionRefused, RouteHttp
from policies.routing_facts import RegionState
from regions.catalog import Catalog
from tests.harness.residency_bundle import operator_row, project_row, region_row, residency_files
from tests.harness.residency_world import ResidencyWorld
from tests.regions.placement_world import World, catalog_of, spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.unit

RESIDENCY = ProfileLists(profiles={"near": ("north", "east"), "far": ("south",)}, default=("north", "east"))


def route_of(world: World, residency: ProfileLists | None = RESIDENCY) -> RouteHttp:
    policies = CatalogPolicySets(residency, region="north", catalog=lambda: world.facts.catalog)
    return RouteHttp(world.facts, world.placement, policies)


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    route_of(world).add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_whole_answer_is_as_it_is_documented(world: World) -> None:
    world.wants("east", RegionState.draining)
    world.pools["north"].link.hear(world.now_ms, rtt_ms=0.4)
    world.look()
    answer = route_of(world).explain({"tenant": "acme", "profile": "near", "model": "scripted"})
    assert answer == {
        "here": "north",
        "seen_from": "north",
        "tenant": "acme",
        "profile": "near",
        "tier": "standard",
        "model": "scripted",
        "version": "",
        "language": "",
        "permitted": ["east", "north"],
        "refused": None,
        "refusal": None,
        "classes": ["spot", "reserved"],
        "gateways": ["wss://north.example/v1/stream"],
        "snapshot_age_ms": 0,
        "chosen": "north",
        "kept_current": False,
        "candidates": [
            {
                "region": "north",
                "score_ms": 20.4,
                "parts_ms": {"rtt": 0.4, "queueing": 0.0, "spot": 0.0, "cost": 20.0},
                "free_slots": 10,
                "health": "admitting",
                "is_spilling": False,
                "age_ms": 0,
                "placed_since_report": 0,
            }
        ],
        "ruled_out": [
            {"region": "east", "reason": "draining", "age_ms": 0},
            {"region": "south", "reason": "outside_policy", "age_ms": 0},
        ],
    }


async def test_seen_from_elsewhere_the_round_trip_is_reckoned_from_the_distance(world: World) -> None:
    explained = route_of(world, None).explain({"from": "-33.9,18.4"})
    first = explained["candidates"][0]
    assert (explained["chosen"], first["parts_ms"]["rtt_prior"]) == ("south", 1.0)
    assert explained["gateways"][0] == "wss://south.example/v1/stream"


@pytest.mark.parametrize(("where", "chosen"), [("south", "south"), ("DE", "north"), ("east", "east"), ("", "north")])
async def test_a_region_and_a_country_are_places_too(world: World, where: str, chosen: str) -> None:
    assert route_of(world, None).explain({"from": where})["chosen"] == chosen


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"form": "north"}, "unknown: form"),
        ({"tier": "gold"}, "tier: one of premium, standard, economy"),
        ({"from": "atlantis"}, "neither a region"),
        ({"from": "91,0"}, "latitude within 90"),
        ({"from": "nan,0"}, "latitude within 90"),
        ({"from": "1,x"}, "two numbers"),
        ({"from": "FR"}, "no region is in FR"),
        ({"from": "192.0.2.1"}, "no database"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused_with_the_reason(
    world: World, question: dict[str, str], why: str
) -> None:
    with pytest.raises(QuestionRefused, match=why):
        route_of(world).explain(question)


async def test_an_unknown_profile_permits_nothing(world: World) -> None:
    answer = route_of(world).explain({"profile": "mars"})
    assert (answer["refused"]["reason"], answer["permitted"]) == ("residency_unknown_profile", [])
    assert answer["chosen"] is None


async def test_a_caller_who_may_not_connect_here_is_told_where(world: World) -> None:
    answer = route_of(world).explain({"profile": "far"})
    assert (answer["refused"]["reason"], answer["gateways"]) == ("wrong_region", ["wss://south.example/v1/stream"])


async def test_where_nothing_can_be_chosen_the_reason_is_the_one_that_a_session_hears(world: World) -> None:
    for name in ("north", "east"):
        world.wants(name, RegionState.disabled)
    answer = route_of(world).explain({})
    assert (answer["chosen"], answer["refusal"]) == (None, "no_permitted_region")


async def test_both_questions_are_answered_over_http(
    world: World, client: TestClient[web.Request, web.Application]
) -> None:
    async with client.get("/v1/route/explain", params={"profile": "near"}) as response:
        assert (response.status, (await response.json())["chosen"]) == (200, "north")
    async with client.get("/v1/route/explain", params={"tier": "gold"}) as response:
        assert (response.status, await response.json()) == (400, {"error": "tier: one of premium, standard, economy"})
    async with client.get("/v1/regions") as response:
        tree: dict[str, Any] = await response.json()
    assert (tree["here"], tree["catalog_digest"]) == ("north", "d1")
    assert [region["name"] for region in tree["regions"]] == ["north", "east", "south"]


async def test_a_gateway_without_a_catalog_explains_its_own_region() -> None:
    world = World(catalog=Catalog())
    assert route_of(world, None).explain({})["chosen"] == "north"
    assert catalog_of(spec("north")).regions["north"].has_engines


async def test_where_a_bundle_decides_the_rules_are_named_by_which_regions_are_out(
    world: World, tmp_path: Path
) -> None:
    rows = "".join(region_row(name, "DE" if name != "south" else "US", "us") for name in ("north", "east", "south"))
    operators = operator_row("us", "aws")
    files = residency_files(regions=rows, operators=operators, projects=project_row("acme/calls", "eu-strict"))
    policy = ResidencyWorld(tmp_path, files)
    catalog = Catalog(
        {
            name: replace(spec, country="US" if name == "south" else "DE", operator="us")
            for name, spec in world.facts.catalog.regions.items()
        }
    )
    route = RouteHttp(world.facts, world.placement, policy.sets("north", catalog=catalog))
    answer = route.explain({"tenant": "acme", "project": "calls", "subject": "FR"})
    assert (answer["permitted"], answer["project"], answer["rules_against"]) == (
        ["east", "north"],
        "calls",
        {"south": []},
    )
    phi = route.explain({"tenant": "acme", "project": "calls", "subject": "FR", "data_class": "phi"})
    assert "F03-phi-needs-baa" in phi["rules_against"]["north"]
    with pytest.raises(QuestionRefused, match="data_class"):
        route.explain({"data_class": "secret"})
