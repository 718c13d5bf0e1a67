"""What layers ask of a request that they pass on."""

from __future__ import annotations

import pytest

from tests.harness.fake_webtransport_session import connect_request

pytestmark = pytest.mark.unit


def test_an_origin_is_what_the_browser_said_or_nothing() -> None:
    assert connect_request(headers=(("a", "b"), ("origin", "https://app.example"))).origin == "https://app.example"
    assert connect_request().origin == ""
