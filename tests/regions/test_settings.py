"""Promises of the settings of several regions."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regions.settings import RegionsSettings

pytestmark = pytest.mark.unit


def test_an_edge_site_needs_no_relay_and_a_region_by_itself_no_links() -> None:
    settings = RegionsSettings.model_validate({"catalog_file": "regions.toml"})
    assert (settings.relay, settings.links) == (None, None)


def test_every_mistake_is_named_with_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        RegionsSettings.model_validate({"relay": {"port": -1}, "links": {}, "region": "x"})
    places = {".".join(map(str, mistake["loc"])) for mistake in caught.value.errors()}
    assert {"catalog_file", "relay.port", "links.ca_file", "region"} <= places
