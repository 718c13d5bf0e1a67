"""Two readers of one text must not be able to disagree."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission import strict_json

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"\\u0061":2}}',
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"",
        b"[" * 100_000,
        b"[" + b"9" * 10_000 + b"]",
    ],
)
def test_ambiguous_and_unreadable_texts_are_refused_without_quoting_them(text: bytes) -> None:
    with pytest.raises(strict_json.NotStrictJson) as refusal:
        strict_json.loads(text)
    assert str(refusal.value) == "not a JSON text in which every member is given once"
    assert refusal.value.__context__ is None


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(_values)
def test_honest_json_is_read_as_it_was_meant(value: object) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_not_strict_json(text: bytes) -> None:
    with contextlib.suppress(strict_json.NotStrictJson):
        strict_json.loads(text)
