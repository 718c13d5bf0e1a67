"""What limits a gateway's sessions is built as the settings say, runs, and settles what is left at its end."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.admit import LocalSessionLimits
from gateway.admission.metrics import AdmissionMetrics
from gateway.admission.revocation_check import NothingRevoked
from gateway.admission.revocation_feed import RevocationFeed
from gateway.limiting import limiting, monotonic_ms, read_plans_of
from gateway.metrics import GatewayMetrics
from gateway.session_registry import SessionRegistry
from gateway.settings import GatewaySettings, SettingsRefused, validate
from tests.harness.limited_gateway import SpendingSession, bill_in, plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.limiting import Limiting
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

ISSUER = {
    "issuer": "https://id.example",
    "audience": "patchbay",
    "algorithms": ["HS256"],
    "shared_secrets": [{"kid": "k", "value": "0123456789abcdef0123456789abcdef"}],
}


def settings_of(**limits: Any) -> GatewaySettings:
    return validate(
        {"engines": {"addresses": ["unix:/run/engine.sock"]}, "tokens": {"issuers": [ISSUER]}, "limits": limits}
    )


def with_redis(server: RedisServer, folder: Path) -> GatewaySettings:
    return settings_of(redis={"urls": [server.url]}, journal={"directory": str(folder / "journal")})


@contextlib.asynccontextmanager
async def built(settings: GatewaySettings) -> Any:
    registry = CollectorRegistry()
    sessions = SessionRegistry(GatewayMetrics(), monotonic_ms)
    plans = read_plans_of(settings, registry)
    async with limiting(settings, plans, sessions, AdmissionMetrics(registry)) as parts:
        yield parts


async def used_once(parts: Limiting, *, compute_us: int) -> None:
    """A session that is over."""
    tab = await parts.limits.acquire(plan_of(), session_id="0123456789abcdef0123456789abcdef")
    session = SpendingSession(tab)  # type: ignore[arg-type]
    tab.attach(session, add_ons=())
    assert session.spend(compute_us)
    tab.release()


async def test_without_redis_only_this_process_counts() -> None:
    async with built(settings_of()) as parts:
        assert isinstance(parts.limits, LocalSessionLimits)
        assert isinstance(parts.revocations, NothingRevoked)
        tab = await parts.limits.acquire(plan_of(), session_id="s")
        assert tab.opening.granted_us is None


async def test_what_a_session_used_last_is_settled_when_the_gateway_ends(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with built(with_redis(redis_server, tmp_path)) as parts:
        assert isinstance(parts.revocations, RevocationFeed)
        running = asyncio.create_task(parts.run())
        await used_once(parts, compute_us=4_321)
        running.cancel()
        await asyncio.wait([running])
    assert bill_in(redis_server) == (4_321,) * 3


async def test_two_gateways_do_not_share_a_journal(redis_server: RedisServer, tmp_path: Path) -> None:
    async with built(with_redis(redis_server, tmp_path)):
        with pytest.raises(SettingsRefused, match=r"limits\.journal"):
            async with built(with_redis(redis_server, tmp_path)):
                raise AssertionError("both have it")


async def test_a_plans_file_that_cannot_be_used_is_refused_with_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('default_plan = "nowhere"\n[plans.a.org]\nmax_sessions = 0\n')
    with pytest.raises(SettingsRefused, match=r"limits\.plans_file"):
        read_plans_of(settings_of(plans_file=str(file)), CollectorRegistry())


def test_the_client_of_redis_is_loaded_only_where_a_redis_is_configured() -> None:
    loaded = "import sys, gateway.serve; print([name for name in ('redis', 'grpc') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['grpc']\n"
