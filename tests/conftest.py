"""How properties are drawn, the option for the long forms, and regions that tests share. More is in tests/harness."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.redis_server import RedisServer
from tests.harness.region import Region, start_region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Properties see the same examples in every run, so that a run fails only over what was changed; `make properties` draws
# others. No bound on the time that an example takes holds on a busy machine.
settings.register_profile(
    "same",
    derandomize=True,
    database=None,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("drawn", settings.get_profile("same"), derandomize=False, max_examples=500)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long forms of tests that have one (make chaos)")


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether the long form was asked for, by `--long` or by PATCHBAY_LONG=1."""
    return bool(pytestconfig.getoption("--long")) or os.environ.get("PATCHBAY_LONG") == "1"


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region with the embedded model that many tests share: leave it as it was."""
    with start_region(tmp_path_factory.mktemp("region"), "--webtransport") as running:
        yield running


@pytest.fixture
def new_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Region]]:
    """Starts regions of a test's own, with the arguments of `start_region`; they stop with the test."""
    started: list[Region] = []

    def start(*arguments: str, **settings: object) -> Region:
        running = start_region(tmp_path_factory.mktemp("region"), *arguments, **settings)
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running, empty redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()
