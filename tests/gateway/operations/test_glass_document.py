"""Promises of permissions as bytes: the same ones come back, or nothing at all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations.glass_document import (
    GlassMalformed,
    decode,
    encode,
    newer,
    read_copy,
    version_of,
    write_copy,
)
from policies.residency.break_glass import Permission, Permissions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

ONE = Permission("0123456789ab", "ada", "INC-7", "why", ("process",), "acme/clinic", ("eu-1",), 1, 2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "glass.json"
    assert read_copy(path) == Permissions()
    write_copy(path, Permissions(3, (ONE,)))
    assert read_copy(path) == Permissions(3, (ONE,))


@given(st.binary(max_size=300))
def test_bytes_are_permissions_or_malformed(raw: bytes) -> None:
    with contextlib.suppress(GlassMalformed):
        decode(raw)


def test_one_that_is_cut_off_opens_nothing() -> None:
    whole = encode(Permissions(1, (ONE,)))
    for length in range(len(whole)):
        with pytest.raises(GlassMalformed):
            decode(whole[:length])


def test_a_later_release_and_too_many_bytes_are_refused() -> None:
    with pytest.raises(GlassMalformed):
        decode(encode(Permissions(1)).replace(b'"format":1', b'"format":2'))
    with pytest.raises(GlassMalformed):
        decode(b" " * 2_000_000)


def test_of_two_the_later_one_holds_wherever_it_is_asked() -> None:
    one, other = Permissions(2, (ONE,)), Permissions(2)
    assert newer(one, other) == newer(other, one)
    assert newer(Permissions(3), one) == Permissions(3)
    assert version_of(one) != version_of(other)
