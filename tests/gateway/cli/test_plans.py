"""`patchbay plans`: every mistake on a line, what is granted as a table or JSON, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from policies.plan_book import key_pseudonym
from tests.harness.command import patchbay

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

PLANS = """
default_plan = "free"
[plans.free.org]
max_sessions = 1
[plans.gold.org]
max_sessions = 2
[orgs.acme.keys.ci]
rater = "block_15s"
key = { max_sessions = 9 }
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plans", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "plans.toml"
    path.write_text(PLANS)
    return str(path)


@pytest.fixture
def wrong_file(tmp_path: Path) -> str:
    path = tmp_path / "wrong.toml"
    path.write_text("bogus = 1\n[plans.free]\ntier = 1\n")
    return str(path)


@pytest.mark.unit
def test_good_plans_are_summed_up_and_warnings_are_told_beside(file: str) -> None:
    outcome = run("validate", file)
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("the plans are good: 2 plans, 1 org, rating version ")
    assert outcome.stderr.splitlines() == [
        "warning: orgs.acme.keys.ci.key.max_sessions: is more than plans.free.org.max_sessions allows",
        "warning: orgs.acme.keys.ci.key.max_sessions: is more than plans.gold.org.max_sessions allows",
    ]


@pytest.mark.unit
def test_the_summary_as_json(file: str) -> None:
    summary = json.loads(run("validate", file, "--json").stdout)
    assert (summary["plans"], summary["orgs"], len(summary["warnings"])) == (["free", "gold"], 1, 2)
    assert len(summary["rating_version"]) == 12


@pytest.mark.unit
@pytest.mark.parametrize("command", [["validate"], ["show"], ["explain", "--tenant", "acme"]])
def test_every_mistake_is_a_line_on_standard_error_and_exit_64(command: list[str], wrong_file: str) -> None:
    outcome = run(*command, wrong_file)
    assert (outcome.exit_code, outcome.stdout) == (64, "")
    assert outcome.stderr.splitlines() == [
        "wrong plan: plans.free.tier: must be 'premium', 'standard' or 'economy'",
        "wrong plan: bogus: is not known here",
    ]
    assert len(json.loads(run(*command, wrong_file, "--json").stdout)["mistakes"]) == 2


@pytest.mark.unit
def test_plans_are_shown_with_what_is_changed(file: str) -> None:
    outcome = run("show", file)
    assert outcome.exit_code == 0
    for text in ("free", "gold", "org.max_sessions", "what is changed", "orgs.acme.keys.ci.key"):
        assert text in outcome.stdout
    shown = json.loads(run("show", file, "--json").stdout)
    assert (shown["default_plan"], shown["fallback_plan"]) == ("free", None)
    assert [shown["plans"][name]["org.max_sessions"] for name in ("free", "gold")] == [1, 2]
    assert {"field": "key.max_sessions", "value": 9, "place": "orgs.acme.keys.ci.key"} in shown["overrides"]


@pytest.mark.unit
def test_without_a_file_the_built_in_plan_is_shown() -> None:
    assert list(json.loads(run("show", "--json").stdout)["plans"]) == ["unlimited"]


@pytest.mark.unit
def test_what_holds_for_a_caller_is_explained(file: str) -> None:
    explained = json.loads(run("explain", file, "--tenant", "acme", "--key", "ci", "--plan", "gold", "--json").stdout)
    assert explained["principal"] == {"org": "acme", "project": "", "key": key_pseudonym("ci")}
    values = {row["field"]: (row["value"], row["place"]) for row in explained["values"]}
    assert values["plan"] == ("gold", "token.plan")
    assert values["key.max_sessions"] == (9, "orgs.acme.keys.ci.key")
    assert values["org.max_sessions"] == (2, "plans.gold.org")
    assert values["rater"] == ("block_15s", "orgs.acme.keys.ci")
    assert "orgs.acme.keys.ci" in run("explain", file, "--tenant", "acme", "--key", "ci").stdout


@pytest.mark.unit
def test_a_caller_whose_plan_is_not_known_is_77(file: str, tmp_path: Path) -> None:
    outcome = run("explain", file, "--tenant", "acme", "--plan", "silver")
    assert (outcome.exit_code, outcome.stderr) == (77, "unknown_plan: the plan silver is not known\n")
    (tmp_path / "none.toml").write_text("[plans.free]")
    outcome = run("explain", str(tmp_path / "none.toml"), "--tenant", "acme")
    assert outcome.exit_code == 77
    assert outcome.stderr == "unknown_plan: the token names no plan, and there is no default_plan\n"


@pytest.mark.unit
def test_no_file_and_no_tenant_are_64(tmp_path: Path, file: str) -> None:
    none = run("validate", str(tmp_path / "none.toml"))
    assert (none.exit_code, none.stderr) == (64, f"wrong plan: {tmp_path}/none.toml: No such file or directory\n")
    assert run("explain", file).exit_code == 2, "typer's own code, of which the command makes 64"


@pytest.mark.integration
def test_the_command_as_it_is_typed(tmp_path: Path, file: str, wrong_file: str) -> None:
    wrong = patchbay(tmp_path, "plans", "validate", wrong_file)
    assert (wrong.exit_code, wrong.out, len(wrong.err.splitlines())) == (64, "", 2)
    explained = patchbay(tmp_path, "plans", "explain", file, "--tenant", "acme", "--json")
    assert (explained.exit_code, explained.json["values"][0]["value"]) == (0, "free")
