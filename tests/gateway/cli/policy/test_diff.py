"""`patchbay policy diff`: what is signed, in every format, and an exit code for scripts."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from policies.residency.bundles.bundle import read_bundle
from tests.harness.policy_bundles import changed_rule, written
from tests.harness.residency_bundle import REGIONS, RULES, residency_files

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

FROM = ("--from", "2026-06-01")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """F07 keeps checkpoints of EU speakers in the EEA; then in the EU."""
    files = residency_files(rules=RULES, regions=REGIONS)
    after = changed_rule(files, "F07", 'Asr::Jurisdiction::"EEA"', 'Asr::Jurisdiction::"EU"')
    return str(written(files, tmp_path / "before")), str(written(after, tmp_path / "after"))


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "diff", *arguments, *FROM])


def test_what_changes_is_shown_in_groups(folders: tuple[str, str]) -> None:
    result = run(*folders)
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    assert "no longer allowed:" in shown
    assert "store_checkpoint no-east-1" in shown
    assert "a caller of eea: store_checkpoint in no-east-1, personal data, speaker in DE" in shown
    assert "newly ALLOWED" not in shown
    assert "Signed" in shown


def test_no_change_is_0(folders: tuple[str, str]) -> None:
    result = run(folders[0], folders[0])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("No decision changes")


def test_programs_get_groups_and_lines(folders: tuple[str, str]) -> None:
    result = run(*folders, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["newly_allowed"] == 0
    assert told["no_longer_allowed"] == sum(group["decisions"] for group in told["groups"]) > 0
    assert {group["profile"] for group in told["groups"]} == {"eea", "global"}
    assert all(line["values"]["speaker"] == ["EU (such as DE)"] for group in told["groups"] for line in group["lines"])
    assert [(each["what"], each["name"], each["change"]) for each in told["written"]] == [
        ("rule", "F07-no-checkpoints-outside-eea", "changed")
    ]


def test_a_spreadsheet_has_every_line(folders: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "changes.csv"
    assert run(*folders, "--format", "csv", "--out", str(out)).exit_code == 1
    with out.open(newline="", encoding="utf-8") as file:
        lines = [*csv.DictReader(file)]
    assert {line["profile"] for line in lines} == {"eea", "global"}
    assert (
        sum(int(line["decisions"]) for line in lines) == json.loads(run(*folders, "--json").stdout)["no_longer_allowed"]
    )


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_report_can_be_sent_to_those_who_sign(folders: tuple[str, str], form: str) -> None:
    shown = run(*folders, "--format", form, "--reasons").stdout
    assert "Signed" in shown
    assert "no-east-1" in shown


def test_wrong_words_are_64(folders: tuple[str, str]) -> None:
    assert run(*folders, "--until", "2020-01-01").exit_code == 64
    assert run(folders[0], "/no/such/folder").exit_code == 66


def test_what_would_come_after_the_end_of_both_is_not_told(folders: tuple[str, str]) -> None:
    ends_s = read_bundle(residency_files()).expires_at_s
    told = json.loads(run(*folders, "--json").stdout)
    lines = [line for group in told["groups"] for line in group["lines"]]
    assert max(end_s for line in lines for _, end_s in line["periods_s"]) == ends_s
