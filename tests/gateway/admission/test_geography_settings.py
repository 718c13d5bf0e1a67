"""Settings of geography that cannot be are refused, each with its mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.admission.geography_settings import EdgeHeaderSettings, GeographySettings

pytestmark = pytest.mark.unit


def test_by_default_nobody_is_trusted_and_nothing_is_read() -> None:
    settings = GeographySettings()
    assert (settings.trusted_proxies, settings.databases, settings.edge_headers.names) == ((), (), ())
    assert settings.proxy_protocol == "off"


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"trusted_proxies": ["10.0.0.1/8"]}, "host bits"),
        ({"trusted_proxies": ["lb.example.com"]}, "does not appear to be"),
        ({"proxy_protocol": "required"}, "from whom may the header come"),
        ({"edge_headers": {"country": "CF-IPCountry"}}, "from whom may they come"),
        ({"client_address_header": "X Forwarded"}, "no name of a header"),
        ({"client_address_header": ""}, "no name of a header"),
        ({"edge_headers": {"latitude": "Lat"}}, "go together"),
        ({"edge_headers": {"latitude": "a", "longitude": "b", "latitude_longitude": "c"}}, "or latitude_longitude"),
        ({"edge_headers": {"country": "a:b"}}, "no names of headers"),
        ({"check_interval_ms": 0}, "greater than or equal"),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        GeographySettings.model_validate(settings)


def test_names_are_those_that_are_read() -> None:
    assert EdgeHeaderSettings(country="A", latitude_longitude="B").names == ("A", "B")
