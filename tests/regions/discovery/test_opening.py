"""Promises of making a discovery: each kind of settings has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from pydantic import SecretStr

from regions.discovery.opening import discovery_of
from regions.discovery.settings import DiscoverySettings, DnsSrvDiscovery, FileDiscovery, RedisDiscovery
from regions.watched_file import FileRefused

if TYPE_CHECKING:
    from pathlib import Path

    from regions.discovery.metrics import DiscoveryMetrics

pytestmark = pytest.mark.unit


def test_every_kind_of_settings_has_its_discovery(tmp_path: Path, metrics: DiscoveryMetrics) -> None:
    file = tmp_path / "engines.toml"
    file.write_text("")
    every = (
        RedisDiscovery(kind="redis", url=SecretStr("redis://127.0.0.1:1")),
        DnsSrvDiscovery(kind="dns_srv", name="x"),
        FileDiscovery(kind="file", path=file),
    )
    assert {type(settings) for settings in every} == set(get_args(get_args(DiscoverySettings)[0]))
    made = [discovery_of(settings, region="eu", metrics=metrics) for settings in every]
    assert [discovery.keeps_connected for discovery in made] == [True, False, False]


def test_a_file_that_cannot_be_used_is_told_at_start(tmp_path: Path, metrics: DiscoveryMetrics) -> None:
    with pytest.raises(FileRefused, match="No such file"):
        discovery_of(FileDiscovery(kind="file", path=tmp_path / "none"), region="eu", metrics=metrics)
