"""`patchbay policy explain`: one decision for somebody who knows no Cedar, and a session's story from a real log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from policies.residency.bundles.bundle import read_bundle
from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.chain import FIRST_FILE, ZERO_HASH, canonical, line_hash, records_file, writer_name
from tests.harness.policy_bundles import written
from tests.harness.residency_bundle import residency_files

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

AT = ("--at", "2026-06-01")
SESSION = "5d2f"


def run(*arguments: str, state: str = "/nonexistent") -> Result:
    return CliRunner(env={"COLUMNS": "200", "XDG_STATE_HOME": state}).invoke(app, ["policy", "explain", *arguments])


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(written(residency_files(), tmp_path / "bundle"))


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A log of one writer with a session that moved and a bundle that was taken."""
    read = read_bundle(residency_files())
    digests = {
        "policy_digest": read.policy_digest,
        "entities_digest": read.entities_digest,
        "schema_digest": read.schema_digest,
    }
    of_session = {"session": SESSION, "org": "acme", "project": "calls", "profile": "eea", "decision": "Allow"}
    rules = {"determining_policy_ids": ("P02-eea-in-eea",), "candidate_regions": ("eu-west-1", "no-east-1")}
    records = [
        DecisionRecord(event=Event.policy_change, action="taken", detail="test 1, approved by ada, bob", **digests),
        DecisionRecord(event=Event.admission, action="terminate", chosen="eu-west-1", **of_session, **rules, **digests),
        DecisionRecord(
            event=Event.failover, action="failover", trigger="failover", from_region="eu-west-1", chosen="no-east-1",
            **of_session, **rules, **digests,
        ),
        DecisionRecord(event=Event.admission, action="terminate", chosen="eu-west-1", session="other"),
    ]  # fmt: skip
    folder = tmp_path / "log"
    folder.mkdir()
    previous, lines = ZERO_HASH, []
    for number, record in enumerate(records):
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        stamped = DecisionRecord(
            **{**fields, "seq": number, "ts": 1_780_315_200_000 + number, "gateway": "gw-1", "prev_hash": previous}
        )
        line = canonical(stamped)
        previous = line_hash(line)
        lines.append(line + b"\n")
    (folder / records_file(writer_name("eu-west-1", "0" * 16), FIRST_FILE)).write_bytes(b"".join(lines))
    return str(folder)


def test_an_allow_is_explained_with_the_rule_and_its_basis(bundle: str) -> None:
    result = run(bundle, "--profile", "eea", "--region", "no-east-1", "--action", "failover", "--subject", "DE", *AT)
    assert result.exit_code == 0
    shown = result.stdout
    assert shown.startswith("ALLOWED: a caller of eea: failover in no-east-1, personal data, speaker in DE")
    for said in ("Allowed by P02-eea-in-eea", "contract 4.2", "legal@example.com", "LEGAL-1", "NO is in EEA"):
        assert said in shown


def test_a_deny_by_default_says_what_was_missing(bundle: str) -> None:
    told = json.loads(
        run(bundle, "--profile", "eea", "--region", "us-east-1", "--action", "process", *AT, "--json").stdout
    )
    assert told["because"] == "Denied, because no rule permits it. What no rule permits is denied."
    assert [(near["rule"]["id"], near["missing"]) for near in told["near"]] == [
        ("P02-eea-in-eea", ["it is for regions in EEA"])
    ]


def test_a_project_brings_its_profile_data_class_and_country(bundle: str) -> None:
    shown = run(bundle, "--project", "clinic/notes", "--region", "us-east-1", "--action", "process", *AT,
                "--capacity", "spot").stdout  # fmt: skip
    assert "clinic/notes: process in us-east-1, phi data, speaker in US, spot machine" in shown
    assert "Denied by F02-no-spot-for-phi" in shown
    assert "Without it, allowed (P04-health-in-us)." in shown


def test_a_session_s_story_is_told_from_its_records(log: str, bundle: str) -> None:
    result = run(SESSION, "--log", log, "--bundle", bundle)
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "acme/calls, profile eea" in shown
    assert "moved from eu-west-1 to no-east-1" in shown
    assert "test 1, approved by ada, bob" in shown
    assert "Permits terminate, relay, process, failover, store_checkpoint, for the profile eea, in EEA." in shown
    assert "other" not in shown.split("What happened")[1].split("Versions")[0]


def test_programs_get_the_story_too(log: str) -> None:
    told = json.loads(run(SESSION, "--log", log, "--json").stdout)
    assert [(each["event"], each["chosen"], each["rules"]) for each in told["story"]] == [
        ("admission", "eu-west-1", ["P02-eea-in-eea"]),
        ("failover", "no-east-1", ["P02-eea-in-eea"]),
    ]
    assert told["rules"] == []


def test_what_is_missing_is_told(log: str, bundle: str, tmp_path: Path) -> None:
    assert run("unknown", "--log", log).exit_code == 66
    assert run(SESSION, "--log", str(tmp_path / "none")).exit_code == 66
    assert run(SESSION, state=str(tmp_path)).exit_code == 64
    assert run(bundle, "--profile", "eea").exit_code == 64
    assert run(bundle, "--project", "no/body", "--region", "x", "--action", "process").exit_code == 66
