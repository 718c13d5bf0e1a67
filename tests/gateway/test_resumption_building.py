"""What resumption needs is built as the settings say, and what waits is written before the gateway ends."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from gateway.resumption_building import ResumptionBuilding, token_keys_of
from gateway.settings import SettingsRefused
from regions.catalog import Catalog
from regions.links.certificates import Certificates
from tests.gateway.test_regional import HERE, certificate_in, settings_of
from tests.harness.commit_points import point_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.redis_server import RedisServer


def test_keys_that_cannot_be_used_are_refused_with_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("short\n")
    with pytest.raises(SettingsRefused) as caught:
        token_keys_of(settings_of(resumption={"key_file": str(tmp_path / "keys")}))
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("resumption.key_file: ")
    assert token_keys_of(settings_of()).signer


@pytest.mark.integration
async def test_what_waits_is_written_when_the_stack_ends(redis_server: RedisServer, tmp_path: Path) -> None:
    settings = settings_of(regions={"catalog_file": "/nowhere", "links": certificate_in(tmp_path)})
    assert settings.regions is not None
    assert settings.regions.links is not None
    link = RedisLink(RedisSettings(urls=(SecretStr(redis_server.url),)))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(link.aclose)
        building = ResumptionBuilding(
            settings,
            CollectorRegistry(),
            stack,
            catalog=Catalog,
            certificates=Certificates(settings.regions.links),
        )
        _, points = building.build(token_keys_of(settings), link)
        points.open(point_at(16_000), frozenset({HERE}), lambda: None)
    with redis_server.client() as client:
        assert client.exists("patchbay:{acme}:commit:s")
