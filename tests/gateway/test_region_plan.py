"""Which processes a region has, and what they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.region_plan import EnginePlan, RegionPlan, children_of

pytestmark = pytest.mark.unit

SOCKETS, DATA = Path("/sockets"), Path("/data")


def plan(**more: Any) -> RegionPlan:
    return RegionPlan("here", EnginePlan(count=2), {"http__port": 0}, None, Path("/state"), None, **more)


def test_redis_is_ready_before_whoever_needs_it_is_started() -> None:
    children = children_of(plan(has_exporter=True), SOCKETS, DATA, {})
    assert [[child.name for child in stage] for stage in children.stages] == [
        ["redis"],
        ["engine-0", "engine-1", "gateway", "exporter"],
    ]
    assert children.places["redis"] == "unix:///sockets/redis.sock"
    assert children.places["usage"] == "/data/usage"
    assert children.places["sent_log"] == "/data/exporter"
    assert children.places["sinks"] == ["file"]


def test_the_gateway_is_told_where_its_engines_its_redis_and_its_journal_are() -> None:
    told = children_of(plan(), SOCKETS, DATA, {"http": 8080}).gateway.environment()
    assert json.loads(told["PATCHBAY__ENGINES__DISCOVERY"]) == {
        "kind": "redis",
        "url": "unix:///sockets/redis.sock",
        "region": "here",
    }
    assert json.loads(told["PATCHBAY__LIMITS__REDIS"]) == {"urls": ["unix:///sockets/redis.sock"]}
    assert json.loads(told["PATCHBAY__LIMITS__JOURNAL"]) == {"directory": "/data/journal"}
    assert told["PATCHBAY__HTTP__PORT"] == "8080"


def test_ports_that_become_known_later_are_told_when_the_gateway_is_started_again() -> None:
    ports: dict[str, int] = {}
    gateway = children_of(plan(), SOCKETS, DATA, ports).gateway
    assert gateway.environment()["PATCHBAY__HTTP__PORT"] == "0"
    ports["http"] = 4_711
    assert gateway.environment()["PATCHBAY__HTTP__PORT"] == "4711"


def test_engines_register_in_the_regions_redis() -> None:
    for engine in children_of(plan(), SOCKETS, DATA, {}).engines:
        assert engine.command()[-4:] == ["--register", "unix:///sockets/redis.sock", "--region", "here"]


def test_without_redis_engines_are_listed() -> None:
    children = children_of(plan(has_redis=False), SOCKETS, DATA, {})
    assert json.loads(children.gateway.environment()["PATCHBAY__ENGINES__ADDRESSES"]) == [
        "unix:/sockets/engine-0.sock",
        "unix:/sockets/engine-1.sock",
    ]
    assert "--register" not in children.engines[0].command()


def test_resume_tokens_are_signed_with_a_key_of_the_regions_own_unless_the_settings_name_some() -> None:
    own = children_of(plan(), SOCKETS, DATA, {}).gateway.environment()
    assert json.loads(own["PATCHBAY__RESUMPTION__KEY_FILE"]) == "/data/resume.keys"
    named = children_of(plan(has_resume_keys=True), SOCKETS, DATA, {}).gateway.environment()
    assert "PATCHBAY__RESUMPTION__KEY_FILE" not in named


def test_decisions_are_written_down_in_the_regions_own_folder_unless_the_settings_name_one() -> None:
    own = children_of(plan(), SOCKETS, DATA, {}).gateway.environment()
    assert json.loads(own["PATCHBAY__DECISION_LOG__DIRECTORY"]) == "/data/decisions"
    assert json.loads(own["PATCHBAY__DECISION_LOG__SIGNING_KEY_FILE"]) == "/data/decisions-key.pem"
    named = children_of(plan(has_decision_log=True), SOCKETS, DATA, {}).gateway.environment()
    assert not any(name.startswith("PATCHBAY__DECISION_LOG") for name in named)


def test_engines_say_of_which_class_this_machine_is_with_a_redis_and_without() -> None:
    for has_redis in (True, False):
        command = children_of(plan(has_redis=has_redis), SOCKETS, DATA, {}).engines[0].command()
        assert command[command.index("--capacity") + 1] == "reserved"


def test_where_the_region_makes_grant_keys_its_gateway_signs_and_its_engines_check() -> None:
    children = children_of(plan(makes_grant_keys=True), SOCKETS, DATA, {})
    told = children.gateway.environment()
    assert json.loads(told["PATCHBAY__RESIDENCY__GRANTS__KEY_FILE"]) == "/data/grant-key.pem"
    assert json.loads(told["PATCHBAY__RESIDENCY__GRANTS__KEYS_DIRECTORY"]) == "/data/grant-keys"
    checks = ["--region", "here", "--grant-keys", "/data/grant-keys"]
    assert children.engines[0].command()[-4:] == checks
    named = children_of(plan(has_redis=False, grant_keys=Path("/keys")), SOCKETS, DATA, {})
    assert named.engines[0].command()[-4:] == [*checks[:3], "/keys"]
    assert "PATCHBAY__RESIDENCY__GRANTS__KEY_FILE" not in named.gateway.environment()


def test_without_redis_the_settings_of_limits_are_left_alone() -> None:
    children = children_of(plan(has_redis=False), SOCKETS, DATA, {})
    assert "PATCHBAY__LIMITS__REDIS" not in children.gateway.environment()
    assert (children.helpers, children.places) == ([], {"decisions": "/data/decisions"})


def test_an_exporter_whose_settings_name_sinks_gets_only_what_they_leave_out() -> None:
    sinks = [{"kind": "http", "name": "bill", "url": "https://bill.example", "token": "secret"}]
    children = children_of(plan(has_exporter=True, metering={"sinks": sinks}), SOCKETS, DATA, {})
    for child in (children.gateway, children.helpers[-1]):
        told = child.environment()
        assert "PATCHBAY__METERING" not in told
        assert json.loads(told["PATCHBAY__METERING__STATE_DIRECTORY"]) == "/data/exporter"
        assert told["PATCHBAY__METERING__LISTEN__PORT"] == "0"
    assert "usage" not in children.places
    assert children.places["sinks"] == ["bill"]
    assert "secret" not in str(children.places)


def test_settings_of_metering_that_are_given_are_left_as_they_are() -> None:
    given = {"sinks": [{"name": "bill"}], "state_directory": "/var/exporter", "listen": {"port": 9}}
    children = children_of(plan(has_exporter=True, metering=given), SOCKETS, DATA, {})
    assert not [name for name in children.helpers[-1].environment() if name.startswith("PATCHBAY__METERING")]
    assert children.places["sent_log"] == "/var/exporter"
