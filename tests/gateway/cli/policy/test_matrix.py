"""`patchbay policy matrix`: a table that one takes in at a glance, and the same for programs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from tests.harness.policy_bundles import STARTER, written
from tests.harness.residency_bundle import residency_files

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

AT = ("--at", "2026-06-01")
EEA = """\
process, personal data
eu-central-1  eu-sovereign-1  eu-west-1  kp-1  no-east-1  us-east-1  us-west-1
eea                     ●             ●               ●          ✗     ●          ·          ·
acme/no-aws (eea)       ✗             ●               ✗          ✗     ●          ✗          ·
acme/one-region (eea)   ✗             ✗               ✗          ✗     ●          ✗          ✗
"""


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "matrix", *arguments])


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(written(residency_files(), tmp_path))


def test_everybody_is_shown_with_a_legend(bundle: str) -> None:
    result = run(bundle, *AT)
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert [line.split() for line in lines[3:8]] == [line.split() for line in EEA.splitlines()]
    assert lines[-1] == "● allowed, ✗ a rule forbids it, · no rule permits it"


def test_several_actions_and_data_classes_are_a_table_each(bundle: str) -> None:
    two = ("--action", "process", "--action", "failover", "--data-class", "phi", "--data-class", "public")
    told = json.loads(run(bundle, *AT, *two, "--json").stdout)
    assert [(each["action"], each["data_class"]) for each in told["matrices"]] == [
        ("process", "phi"),
        ("process", "public"),
        ("failover", "phi"),
        ("failover", "public"),
    ]


def test_a_project_is_asked_with_its_own_data_class_and_country(bundle: str) -> None:
    told = json.loads(run(bundle, *AT, "--project", "clinic/notes", "--json").stdout)
    (table,) = told["matrices"]
    (caller,) = table["callers"]
    assert table["data_class"] == "phi"
    assert caller["answers"]["us-east-1"]["answer"] == "reserved"


def test_rules_are_told_when_asked_for(bundle: str) -> None:
    shown = run(bundle, *AT, "--rules", "--subject", "DE", "--action", "store_checkpoint").stdout
    assert "F07-no-checkpoints-outside-eea" in shown


def test_a_spreadsheet_has_a_line_for_each_answer(bundle: str) -> None:
    lines = [*csv.DictReader(io.StringIO(run(bundle, *AT, "--format", "csv").stdout, newline=""))]
    assert {line["answer"] for line in lines if line["who"] == "eea"} == {
        "allowed", "no rule permits it", "a rule forbids it"
    }  # fmt: skip


def test_many_regions_have_numbers_and_speakers_notes() -> None:
    shown = run(str(STARTER), "--at", "2027-03-01", "--data-class", "special-category", "--format", "markdown").stdout
    assert "1 au-canberra-1; 2 au-sydney-1" in shown
    assert "speaker: all but EU" in shown


def test_wrong_words_are_told(bundle: str) -> None:
    assert run(bundle, "--subject", "Germany").exit_code == 64
    assert run(bundle, "--project", "no/body").exit_code == 66
