"""The users of Redis may do what the product does, and nothing beside: a real server with the access strings of the
module redis_users, a real gateway, and an engine that registers.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.harness.region import PATCHBAY
from tests.harness.terraform import TERRAFORM
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.redis_server import RedisServer
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

RECORDING = "engines/models/recordings/timer_rms.wav"


def access_strings() -> dict[str, str]:
    """Of each user, with the default prefix of keys."""
    text = (TERRAFORM / "modules/redis_users/main.tf").read_text(encoding="utf-8")
    found = dict(re.findall(r'^\s+(gateway|engine)\s+= "(on [^"]+)"', text, flags=re.MULTILINE))
    assert set(found) == {"gateway", "engine"}
    return {name: access.replace("${var.prefix}", "patchbay") for name, access in found.items()}


@pytest.fixture(name="guarded")
def _guarded(redis_server: RedisServer) -> Iterator[Guarded]:
    guarded = Guarded(redis_server)
    yield guarded
    guarded.close()


class Guarded:
    """A Redis with the two users; its own user of the same server looks at what was refused to them."""

    def __init__(self, server: RedisServer) -> None:
        self._port = server.port
        self._all: redis.Redis = server.client()
        for name, access in access_strings().items():
            self._all.execute_command("ACL", "SETUSER", name, "reset", *access.split(), f">{name}-password")

    def url(self, user: str) -> str:
        return f"redis://{user}:{user}-password@127.0.0.1:{self._port}/0"

    def client(self, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(user), decode_responses=True)

    def refused(self) -> list[Any]:
        said: list[Any] = self._all.execute_command("ACL", "LOG")
        return said

    def keys(self) -> set[str]:
        return set(self._all.keys("*"))

    def close(self) -> None:
        self._all.close()


def test_a_gateway_and_its_engines_are_refused_nothing_that_they_ask(
    guarded: Guarded, new_region: Callable[..., Region], tmp_path: Path
) -> None:
    engine = subprocess.Popen(
        [
            *(sys.executable, "-m", "engines", "--listen", "127.0.0.1:0", "--recogniser", "scripted"),
            *("--backend", "scripted", "--pool", "gpu-spot", "--capacity", "spot", "--region", "local", "--json"),
            *("--register", guarded.url("engine")),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        region = new_region(
            limits__redis__urls=[guarded.url("gateway")],
            limits__journal__directory=str(tmp_path / "journal"),
            engines__discovery={"kind": "redis", "url": guarded.url("gateway")},
        )
        until_sync(lambda: any(key.startswith("patchbay:engines:") for key in guarded.keys()))  # noqa: SIM118
        heard = subprocess.run(
            [str(PATCHBAY), "transcribe", RECORDING, "--speed", "0"],
            env=region.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert heard.returncode == 0, heard.stderr
        until_sync(lambda: any("meter" in key for key in guarded.keys()), what="a usage event")  # noqa: SIM118
        region.stop()
    finally:
        engine.terminate()
        engine.communicate(timeout=30)
    assert guarded.refused() == []


def test_an_engine_reaches_no_key_but_those_of_the_registry(guarded: Guarded) -> None:
    engine = guarded.client("engine")

    engine.hset("patchbay:engines:{local}:leases", "one", "lease")

    for attempt in (
        lambda: engine.get("patchbay:orgs"),
        lambda: engine.set("patchbay:{acme}:bucket:o", "1"),
        lambda: engine.eval("return redis.call('HGETALL', KEYS[1])", 1, "patchbay:{acme}:tab:1"),
        lambda: engine.config_get("*"),
        lambda: engine.flushall(),
        lambda: engine.keys("*"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            attempt()
    engine.close()


def test_a_gateway_may_not_empty_redis_or_change_its_settings(guarded: Guarded) -> None:
    gateway = guarded.client("gateway")

    gateway.set("patchbay:probe", "1")

    for attempt in (
        lambda: gateway.flushall(),
        lambda: gateway.config_set("maxmemory-policy", "allkeys-lru"),
        lambda: gateway.acl_setuser("gateway", nopass=True),
        lambda: gateway.set("others:key", "1"),
        gateway.script_flush,
        lambda: gateway.function_load("#!lua name=more\nredis.register_function('more', function() return 1 end)"),
        gateway.function_flush,
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            attempt()
    gateway.close()
