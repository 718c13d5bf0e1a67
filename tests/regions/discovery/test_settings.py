"""Promises of the settings of discovery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from regions.discovery.settings import DiscoverySettings, DnsSrvDiscovery
from regions.links.settings import PoolSettings
from tests.docs.pages import ROOT, named_rows, section

if TYPE_CHECKING:
    from pydantic import BaseModel

pytestmark = pytest.mark.unit

KINDS: tuple[type[BaseModel], ...] = get_args(get_args(DiscoverySettings)[0])


def test_the_kind_chooses_which_settings_there_are() -> None:
    pool = PoolSettings.model_validate({"discovery": {"kind": "dns_srv", "name": "_engine._tcp.example.com"}})
    assert pool.discovery == DnsSrvDiscovery(kind="dns_srv", name="_engine._tcp.example.com")
    with pytest.raises(ValidationError):
        PoolSettings.model_validate({"discovery": {"kind": "file", "path": "/engines.toml", "name": "x"}})
    with pytest.raises(ValidationError):
        PoolSettings.model_validate({"discovery": {"kind": "gossip"}})


def test_the_longest_time_to_live_is_not_below_the_shortest() -> None:
    with pytest.raises(ValidationError, match="min_ttl_ms must not exceed max_ttl_ms"):
        DnsSrvDiscovery(kind="dns_srv", name="x", min_ttl_ms=2_000, max_ttl_ms=1_000)


def test_a_url_with_a_password_is_not_shown() -> None:
    pool = PoolSettings.model_validate({"discovery": {"kind": "redis", "url": "redis://:hidden@10.0.0.5/0"}})
    assert "hidden" not in repr(pool)
    assert "hidden" not in pool.model_dump_json()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_setting_of_a_kind_and_no_other_is_documented_with_its_default(kind: type[BaseModel]) -> None:
    name = get_args(kind.model_fields["kind"].annotation)[0]
    documented = named_rows(section(ROOT / "docs" / "regions.md", f"### `{name}`"))
    assert set(documented) == set(kind.model_fields)
    for field, cells in documented.items():
        default = kind.model_fields[field].default
        assert cells[1].strip("`") == ("required" if default is PydanticUndefined else json.dumps(default)), field
