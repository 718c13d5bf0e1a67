"""Promises of the body that asks for an emergency permission."""

from __future__ import annotations

import pytest

from gateway.operations.bodies import read_body
from gateway.operations.glass_bodies import GlassBody
from gateway.operations.refusals import ActRefused

pytestmark = pytest.mark.unit


def test_a_whole_wish_is_read() -> None:
    raw = b'{"project":"a/b","actions":["process"],"regions":["eu-1"],"ticket":"T","reason":"why"}'
    body = read_body(GlassBody, raw)
    assert (body.project, body.actions, body.regions, body.minutes) == ("a/b", ("process",), ("eu-1",), 60)


@pytest.mark.parametrize("raw", [b"{}", b'{"person":"somebody else"}', b'{"minutes":0}', b"[]"])
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(ActRefused, match="bad_request"):
        read_body(GlassBody, raw)
