"""Promises of the settings of links to peers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regions.links.peer_settings import PeerLinkSettings

pytestmark = pytest.mark.unit


def test_a_link_to_a_peer_needs_a_certificate_its_key_and_a_ca() -> None:
    with pytest.raises(ValidationError) as caught:
        PeerLinkSettings.model_validate({"link": {"liveness_ms": 3_000}})
    assert {mistake["loc"][0] for mistake in caught.value.errors()} == {"certificate_file", "key_file", "ca_file"}
