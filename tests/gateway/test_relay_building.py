"""A relay asks its own region's policy, from the settings on, and hears whenever that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.relay_building import OwnPolicy, peers_relay
from gateway.residency.building import Residency
from policies.residency.decision import Situation
from regions.links.certificates import Certificates
from tests.gateway.test_regional import HERE, THERE, built, catalog_in, certificate_in, grants_in, settings_of
from tests.harness.commit_points import KeepingGateway

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from gateway.settings import GatewaySettings


def settings_in(folder: Path, **residency: Any) -> GatewaySettings:
    relay = certificate_in(folder) | {"host": "127.0.0.1", "port": 0}
    regions = {"catalog_file": catalog_in(folder, HERE, THERE), "relay": relay}
    return settings_of(regions=regions, residency={"profiles": {"eu": [HERE, THERE], "far": [THERE]}} | residency)


async def close_left(_org: str, _tab_id: str) -> None:
    """There is none."""


async def test_without_a_relay_in_the_settings_there_is_none(tmp_path: Path) -> None:
    settings, gateway = settings_of(), KeepingGateway(None)
    certificates = Certificates(settings_in(tmp_path).regions.relay)  # type: ignore[union-attr, arg-type]
    async with built(settings) as parts:
        policy = OwnPolicy(Residency(parts.policies), parts.glass, parts.file)
        registry = CollectorRegistry()
        made = peers_relay(
            settings, parts.facts, gateway.points, policy, certificates, registry=registry, close_left=close_left
        )
    assert made is None


async def test_copies_are_kept_and_streams_passed_on_by_this_regions_own_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, gateway = settings_in(tmp_path, grants=grants_in(tmp_path)), KeepingGateway(None)
    assert settings.regions is not None
    assert settings.regions.relay is not None
    certificates = Certificates(settings.regions.relay, use="relay")
    async with built(settings) as parts:
        policy = OwnPolicy(Residency(parts.policies), parts.glass, parts.file)
        registry = CollectorRegistry()
        relay = peers_relay(
            settings, parts.facts, gateway.points, policy, certificates, registry=registry, close_left=close_left
        )
        assert relay is not None
        assert relay.is_guarded
        kept = [gateway.points.may_keep(Situation(profile)) for profile in ("eu", "far", "mars")]
        assert kept == [True, False, False]
        told: list[str] = []
        monkeypatch.setattr(relay, "policy_changed", lambda: told.append("changed"))
        catalog_in(tmp_path, HERE, THERE, "eu-north")
        assert parts.file is not None
        for _ in range(3):
            await parts.file.look()
        assert told == ["changed"]
        await relay.stop()
        assert parts.relay is not None
        await parts.relay.stop()


async def test_a_relay_that_asks_for_no_grants_says_so_where_residency_is_set(tmp_path: Path) -> None:
    with capture_logs() as told:
        async with built(settings_in(tmp_path)) as parts:
            assert parts.relay is not None
            assert not parts.relay.is_guarded
            await parts.relay.stop()
    assert [line["log_level"] for line in told if line["event"] == "relay.unguarded"] == ["warning"]
