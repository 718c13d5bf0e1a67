"""Promises of subjects' keys: one for each, wrapped by the region's, and gone for good when destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.transcripts import subject_keys
from gateway.transcripts.interface import StoreFailed
from gateway.transcripts.region_keys import RegionKeys

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

KEYS = RegionKeys("k1", {"k1": b"1" * 32}, b"p" * 32)


def test_the_same_key_is_there_the_next_time_and_it_is_wrapped(tmp_path: Path) -> None:
    key = subject_keys.key_of(tmp_path, KEYS)
    assert subject_keys.key_of(tmp_path, KEYS) == subject_keys.existing_key(tmp_path, KEYS) == key
    assert key not in (tmp_path / "key").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_that_was_destroyed_is_gone_also_where_its_file_was(tmp_path: Path) -> None:
    subject_keys.key_of(tmp_path, KEYS)
    again = tmp_path / "again"
    (tmp_path / "key").rename(again)
    (tmp_path / "key").hardlink_to(again)
    before = again.read_bytes()
    subject_keys.destroy(tmp_path)
    assert again.read_bytes() != before
    with pytest.raises(StoreFailed, match="erased"):
        subject_keys.existing_key(tmp_path, KEYS)
    subject_keys.destroy(tmp_path)


def test_a_key_of_another_subject_or_region_does_not_open(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    subject_keys.key_of(one, KEYS)
    (other / "key").write_bytes((one / "key").read_bytes())
    with pytest.raises(StoreFailed, match="damaged"):
        subject_keys.existing_key(other, KEYS)
    with pytest.raises(StoreFailed, match="key"):
        subject_keys.existing_key(one, RegionKeys("k2", {"k2": b"2" * 32}, b"p" * 32))
    (one / "key").write_bytes(b"{}")
    with pytest.raises(StoreFailed, match="damaged"):
        subject_keys.existing_key(one, KEYS)
