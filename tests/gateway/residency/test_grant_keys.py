"""A region's own grant keys are made once, and only its gateways can read the private half."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from engines.server.grants import GrantChecker
from gateway.residency.grant_keys import create_grant_keys, key_file, keys_directory
from gateway.residency.grants import GrantKeyUnusable, load_grant_key

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_they_are_made_once_and_stay(tmp_path: Path) -> None:
    create_grant_keys(tmp_path, "here")
    made = key_file(tmp_path).read_bytes()
    create_grant_keys(tmp_path, "here")
    assert key_file(tmp_path).read_bytes() == made
    assert stat.S_IMODE(key_file(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in keys_directory(tmp_path).iterdir()] == ["here.pem"]
    assert GrantChecker(keys_directory(tmp_path), region="here").issuers == {"here"}
    assert load_grant_key(key_file(tmp_path))


def test_a_public_key_that_was_lost_is_made_again(tmp_path: Path) -> None:
    create_grant_keys(tmp_path, "here")
    (keys_directory(tmp_path) / "here.pem").unlink()
    create_grant_keys(tmp_path, "here")
    assert GrantChecker(keys_directory(tmp_path), region="here").issuers == {"here"}


def test_something_else_in_its_place_is_not_written_over(tmp_path: Path) -> None:
    key_file(tmp_path).write_text("a note")
    with pytest.raises(GrantKeyUnusable, match="no private key"):
        create_grant_keys(tmp_path, "here")
    assert key_file(tmp_path).read_text() == "a note"
