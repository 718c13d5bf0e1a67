"""Promises of who is the last engine on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.preemption.machine_share import MachineShare

if TYPE_CHECKING:
    from pathlib import Path


def test_only_the_one_that_is_left_is_the_last(tmp_path: Path) -> None:
    shares = [MachineShare(tmp_path / "machine.lock") for _ in range(3)]
    assert [share.join() for share in shares] == [True, True, True]
    assert [share.leave_as_last() for share in shares] == [False, False, True]
    assert not shares[2].leave_as_last(), "it has left"


def test_one_that_left_without_asking_is_not_waited_for(tmp_path: Path) -> None:
    first, second = MachineShare(tmp_path / "machine.lock"), MachineShare(tmp_path / "machine.lock")
    assert first.join()
    assert second.join()
    first.leave()
    assert second.leave_as_last()


def test_without_a_file_to_share_nobody_is_the_last(tmp_path: Path) -> None:
    share = MachineShare(tmp_path / "nowhere" / "machine.lock")
    assert not share.join()
    assert not share.leave_as_last()


def test_a_link_to_somebody_s_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    (tmp_path / "machine.lock").symlink_to(tmp_path / "precious")
    assert not MachineShare(tmp_path / "machine.lock").join()
