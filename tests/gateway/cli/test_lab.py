"""`patchbay lab`: what needs no world. Drills themselves are in tests/scenarios/test_lab_drills.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

MINE = 'name = "mine"\nsummary = "Mine."\n[[callers]]\ncount = 1\n'


def lab(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["lab", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_drills_are_listed_with_those_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    code, told, _ = lab("list", "--json", "--drills", str(tmp_path))
    assert code == ExitCode.ok
    drills = json.loads(told)
    assert drills["mine"] == "Mine."
    assert "engine-loss" in drills
    assert "mine" in lab("list", "--drills", str(tmp_path))[1]


def test_a_drill_file_is_checked_and_every_mistake_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    assert lab("validate", str(file)) == (ExitCode.ok, "mine: Mine.\n", "")
    file.write_text(MINE + "pitch = 3\n[must]\nwords_lost = -1\n", encoding="utf-8")
    code, _, mistakes = lab("validate", str(file))
    assert code == ExitCode.data_rejected
    assert [line.partition(":")[0] for line in mistakes.splitlines()] == ["callers.0.pitch", "must.words_lost"]
    assert lab("list", "--drills", str(tmp_path))[0] == ExitCode.data_rejected


def test_a_drill_that_is_not_there_or_wrong_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("", encoding="utf-8")
    assert lab("drill", "nothing")[0] == ExitCode.usage
    assert lab("drill", str(file))[0] == ExitCode.data_rejected


def test_a_drill_of_one_region_has_no_bundle(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    code, _, told = lab("drill", str(file), "--residency")
    assert (code, told) == (
        ExitCode.usage,
        f"{file}: --residency is for drills of several regions with scripted engines\n",
    )


def test_a_lab_that_cannot_be_starts_nothing(tmp_path: Path) -> None:
    assert lab("up", "--reserved", "0", "--spot", "0")[0] == ExitCode.usage
    (tmp_path / "old").write_text("", encoding="utf-8")
    code, _, told = lab("up", "--keep", str(tmp_path))
    assert code == ExitCode.usage
    assert "not empty" in told
