"""Promises of discovery by a file: every mistake is told, and none changes what is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from policies.routing_facts import CapacityClass
from regions.discovery.engine_file import EngineFile, read_engines
from regions.discovery.interface import EngineAddress
from regions.discovery.settings import FileDiscovery
from regions.watched_file import FileRefused
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from regions.discovery.metrics import DiscoveryMetrics

pytestmark = pytest.mark.unit

ENGINES = """
[[engines]]
address = "10.0.0.2:7001"
capacity = "spot"
zone = "a"
[[engines]]
address = "unix:/run/engine.sock"
"""
READ = (
    EngineAddress("10.0.0.2:7001", capacity=CapacityClass.spot, zone="a"),
    EngineAddress("unix:/run/engine.sock"),
)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    assert read_engines(write(tmp_path / "e.toml", ENGINES)) == READ
    tree = {"engines": [{"address": "10.0.0.2:7001", "capacity": "spot", "zone": "a"}, {"address": READ[1].address}]}
    assert read_engines(write(tmp_path / "e.json", json.dumps(tree))) == READ
    assert read_engines(write(tmp_path / "none.toml", "")) == ()


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (ENGINES + ENGINES, ["engines.2.address: 10.0.0.2:7001", "engines.3.address: unix:/run/engine.sock"]),
        (
            '[[engines]]\naddress = "nowhere"\nzoo = 1\n[[engines]]\ncapacity = "rented"',
            ["engines.0.address", "engines.0.zoo", "engines.1.address", "engines.1.capacity"],
        ),
        ("[", ["e.toml: "]),
    ],
)
def test_every_mistake_is_told_with_its_place(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    with pytest.raises(FileRefused) as refused:
        read_engines(write(tmp_path / "e.toml", text))
    assert len(refused.value.mistakes) == len(mistakes)
    assert all(map(str.startswith, refused.value.mistakes, mistakes)), refused.value.mistakes


async def test_a_file_that_changes_is_told_and_a_wrong_one_is_not(
    tmp_path: Path, metrics: DiscoveryMetrics, registry: CollectorRegistry, listen: Any
) -> None:
    path = write(tmp_path / "e.toml", ENGINES)
    told = listen(EngineFile(FileDiscovery(kind="file", path=path, look_interval_ms=20), metrics=metrics))
    await until(lambda: told.listings == [READ])

    def is_failing() -> bool:
        return registry.get_sample_value("patchbay_discovery_failing", {"kind": "file"}) == 1

    with capture_logs() as logs:
        write(path, "[[engines]]")
        await until(is_failing)
        write(path, ENGINES + '[[engines]]\naddress = "b:1"')
        await until(lambda: len(told.listings) == 2)
    assert not is_failing()
    assert told.addresses == ["10.0.0.2:7001", "b:1", "unix:/run/engine.sock"]
    assert [line["event"] for line in logs] == [
        "discovery.away",
        "discovery.rejected",
        "discovery.back",
        "discovery.changed",
    ]
    assert logs[1]["mistakes"] == ["engines.0.address: Field required"]
