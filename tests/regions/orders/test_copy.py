"""A gateway's copy: whole after any crash, and a damaged one is told, not raised."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from policies.orders import Orders
from regions.orders.copy import OrdersCopy, read_copy
from tests.regions.orders.test_codec import ORDER

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_what_was_written_is_read(tmp_path: Path) -> None:
    copy = OrdersCopy(tmp_path / "deep" / "orders.json")
    assert read_copy(copy) == (None, "")
    copy.write(Orders(7, (ORDER,)))
    copy.write(Orders(8, ()))
    assert read_copy(copy) == (Orders(8, ()), "")
    assert os.listdir(tmp_path / "deep") == ["orders.json"]
    assert (tmp_path / "deep" / "orders.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_copy_says_so_and_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "orders.json"
    path.write_bytes(b'{"revision": 7, "ord')
    assert read_copy(OrdersCopy(path)) == (None, "malformed")
    (tmp_path / "folder").mkdir()
    assert read_copy(OrdersCopy(tmp_path / "folder")) == (None, "IsADirectoryError")


def test_a_write_that_did_not_come_to_its_end_changes_nothing(tmp_path: Path) -> None:
    copy = OrdersCopy(tmp_path / "orders.json")
    copy.write(Orders(7, (ORDER,)))
    (tmp_path / "orders.json.1.new").write_bytes(b'{"rev')
    assert read_copy(copy) == (Orders(7, (ORDER,)), "")
