"""Promises of a region's key file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.transcripts.region_keys import KeysRefused, add_key, read_region_keys

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_new_key_is_current_and_pseudonyms_stay(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    assert add_key(path) == "k1"
    before = read_region_keys(path)
    assert add_key(path) == "k2"
    after = read_region_keys(path)
    assert (before.current, after.current, set(after.by_name)) == ("k1", "k2", {"k1", "k2"})
    assert before.pseudonym("acme/clinic", "patient-7") == after.pseudonym("acme/clinic", "patient-7")
    assert path.stat().st_mode & 0o777 == 0o600


def test_pseudonyms_differ_by_project_and_by_key(tmp_path: Path) -> None:
    for name in ("one", "other"):
        add_key(tmp_path / name)
    one, other = read_region_keys(tmp_path / "one"), read_region_keys(tmp_path / "other")
    seen = {keys.pseudonym(project, "p") for keys in (one, other) for project in ("a/b", "a/c")}
    assert len(seen) == 4
    assert one.pseudonym("a/b", "c") != one.pseudonym("a/b\0c", "")


@pytest.mark.parametrize(
    "text", ["", "k1 AAAA\n", "pseudonym AAAA\n", "k1\n", "k1 !!!\npseudonym x\n", "\xff", "k1 a b\n"]
)
def test_anything_else_is_refused_without_showing_a_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeysRefused) as refused:
        read_region_keys(path)
    assert "AAAA" not in str(refused.value)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    add_key(path)
    path.chmod(0o640)
    with pytest.raises(KeysRefused, match="chmod 600"):
        read_region_keys(path)


def test_keys_are_not_shown(tmp_path: Path) -> None:
    add_key(tmp_path / "keys")
    assert "pseudonym_key" not in repr(read_region_keys(tmp_path / "keys"))
