from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.record_chain.merkle import Tree, root_of_path, tree_root

pytestmark = pytest.mark.unit

entries = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True)


def by_the_book(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1 as it is written."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40))
def test_the_root_is_that_of_rfc_9162(leaves: list[bytes]) -> None:
    assert tree_root(leaves) == Tree(leaves).root == by_the_book(leaves)


@given(entries, st.data())
def test_a_path_leads_from_its_entry_to_the_root_and_from_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = Tree(leaves).path(index)
    assert root_of_path(leaves[index], index, len(leaves), path) == tree_root(leaves)
    other = data.draw(st.integers(0, len(leaves) - 1))
    if other != index:
        assert root_of_path(leaves[other], index, len(leaves), path) != tree_root(leaves)
        assert root_of_path(leaves[index], other, len(leaves), path) != tree_root(leaves)


@given(entries, st.data())
def test_a_path_that_is_too_long_or_too_short_leads_nowhere(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = Tree(leaves).path(index)
    assert root_of_path(leaves[index], index, len(leaves), [*path, b"\0" * 32]) is None
    if path:
        assert root_of_path(leaves[index], index, len(leaves), path[:-1]) is None
    assert root_of_path(leaves[index], len(leaves), len(leaves), path) is None
