"""`patchbay simulate`: its options, its mistakes, and a short run."""

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

MINE = """
name = "mine"
summary = "Mine."
days = 0.06
world = { regions = ["eu-west", "eu-central"] }
traffic = { sessions_per_day = 1_000, mean_session_s = 120 }
fleet = [{ kind = "reserved" }, { kind = "patchbay" }]
"""


def simulate(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    return file


def test_the_scenarios_are_listed_with_their_questions() -> None:
    code, told, _ = simulate("list", "--json")
    assert code == ExitCode.ok
    assert json.loads(told)["region-dies-at-peak"]["question"].startswith("What if eu-west dies")
    assert "spot-month" in simulate("list")[1]


def test_a_scenario_file_is_checked_and_every_mistake_told(mine: Path) -> None:
    assert simulate("validate", str(mine)) == (ExitCode.ok, "mine: Mine.\n", "")
    mine.write_text(MINE + "pitch = 3\nspot = { notice_s = -1 }\n", encoding="utf-8")
    code, _, mistakes = simulate("validate", str(mine))
    assert code == ExitCode.data_rejected
    assert [line.partition(":")[0] for line in mistakes.splitlines()] == ["spot.notice_s", "pitch"]
    assert simulate(str(mine))[0] == ExitCode.data_rejected


def test_the_same_seed_gives_the_same_report_to_the_letter(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second = (
        simulate(str(mine), "--json", "--seed", "7", "--lose", "eu-west@1h:30m", *more)
        for more in ((), ("--out", str(out)))
    )
    assert first[:2] == (ExitCode.ok, second[1])
    told = json.loads(first[1])
    assert told["scenario"]["seed"] == 7
    assert told["scenario"]["strikes"][0]["for_hours"] == 0.5
    assert [fleet["sessions"]["outside_policy"] for fleet in told["fleets"]] == [0, 0]
    assert sorted(path.name for path in out.iterdir()) == [
        "capacity.png",
        "cost.png",
        "index.html",
        "report.json",
        "served.png",
    ]
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["fleets"][0]["series"]
    assert "patchbay" in first[2], "progress is on standard error"


def test_fleets_stand_side_by_side_and_one_can_be_asked_for(mine: Path) -> None:
    code, told, _ = simulate("run", str(mine), "--fleet", "patchbay", "--days", "0.02", "--set", "machines.slots=4")
    assert code == ExitCode.ok
    assert "cost, of all reserved" in told
    assert "reserved " not in told.splitlines()[3]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["nothing"], ExitCode.usage, "no scenario is named nothing"),
        (["small", "--fleet", "others"], ExitCode.usage, "no fleet is named others"),
        (["small", "--lose", "eu-west"], 2, "eu-west@peak:2h"),
        (["small", "--set", "days"], 2, "KEY=VALUE"),
        (["small", "--set", "days=x"], ExitCode.data_rejected, "days: "),
        (["small", "--lose", "atlantis@peak"], ExitCode.data_rejected, "atlantis serves nobody"),
        (["small", "--set", "fleet.none.zones=1"], ExitCode.data_rejected, "there is no none"),
        (["small", "--days", "-1"], ExitCode.data_rejected, "days: "),
    ],
)
def test_a_question_that_cannot_be_asked_says_why(arguments: list[str], code: int, why: str) -> None:
    ended, _, told = simulate(*arguments)
    assert ended == code
    assert why in told


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(mine: Path) -> None:
    code, _, told = simulate(str(mine), "--out", str(mine / "inside"))
    assert code == ExitCode.usage
    assert "Not a directory" in told
    assert "patchbay" not in told.splitlines()


def test_ctrl_c_ends_it_and_leaves_nothing(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("regions.simulator.simulation.simulate", interrupted)
    code, told, said = simulate(str(mine), "--out", str(tmp_path / "out"))
    assert (code, told) == (ExitCode.interrupted, "")
    assert "stopped" in said
    assert list((tmp_path / "out").iterdir()) == []
