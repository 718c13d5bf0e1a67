"""An audit event is the same after it was kept, and one of another release is left out."""

from __future__ import annotations

import pytest

from gateway.operations.audit_event import Act, AuditEvent, decode_event, encode_event, event_json

pytestmark = pytest.mark.unit

EVENT = AuditEvent(id="1", at_unix_ms=5, act=Act.give, outcome="in_force", who="ada", target="ie/l4", why="kernel")


def test_an_event_is_read_as_it_was_written() -> None:
    assert decode_event(encode_event(EVENT)) == EVENT


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b'{"act":"dance","outcome":"x"}', b"\xff"])
def test_what_is_no_event_is_none(raw: bytes) -> None:
    assert decode_event(raw) is None


def test_readers_get_all_fields_in_plain_words() -> None:
    tree = event_json(EVENT)
    assert (tree["act"], tree["before"], tree["times"], tree["is_refused"]) == ("give", "", 1, False)
