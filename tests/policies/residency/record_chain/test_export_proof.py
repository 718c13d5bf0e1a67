"""An export, made by the real exporter: its records are shown to be in the log, and nothing else can be."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.decision_log.export import export_lines
from gateway.decision_log.reading import Wanted
from policies.residency.record_chain.export_proof import Asked, ExportVerified, verify_export
from tests.harness.decision_logs import made_log, signing_keys

ASKED = Asked(made_at=1, session="session-3")


@pytest.fixture(name="export", scope="module")
def _export(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    directory = tmp_path_factory.mktemp("log")
    for name, content in made_log().items():
        (directory / name).write_bytes(content)
    out = io.BytesIO()
    exported = export_lines(directory, Wanted(session="session-3"), ASKED, out)
    assert (exported.num_records, exported.num_unproven) == (16, 0)
    return out.getvalue().splitlines(keepends=True)


def verified(lines: list[bytes]) -> ExportVerified:
    return verify_export(lines, signing_keys().keys)


def test_records_of_one_session_are_proven_without_the_others(export: list[bytes]) -> None:
    found = verified(export)
    assert found == ExportVerified(ASKED, 16, 0, ())
    assert not any(b"session-2" in line for line in export)


def test_a_changed_record_a_foreign_key_and_a_missing_checkpoint_are_found(export: list[bytes]) -> None:
    at = next(number for number, line in enumerate(export) if line.startswith(b'{"proof"'))
    changed = [*export[:at], export[at].replace(b"dictation", b"something"), *export[at + 1 :]]
    assert [finding.line for finding in verified(changed).findings] == [at + 1]
    assert verify_export(export, signing_keys("another").keys).findings
    assert len(verified([line for line in export if not line.startswith(b'{"checkpoint"')]).findings) == 16
    assert verified(export[1:]).findings[0].text == "it does not say what was asked for"
    assert verified([export[0], b"{}\n", b"torn"]).findings[0].line == 2


def test_a_record_that_no_checkpoint_covered_says_so(tmp_path: Path) -> None:
    for name, content in made_log(24, rotate_after=0, closed=False).items():
        (tmp_path / name).write_bytes(content)
    out = io.BytesIO()
    exported = export_lines(tmp_path, Wanted(), Asked(made_at=1), out)
    assert (exported.num_records, exported.num_unproven) == (50, 6)
    found = verified(out.getvalue().splitlines(keepends=True))
    assert (found.num_records, found.num_unproven, found.findings) == (50, 6, ())
    assert not found.is_proven
    out = io.BytesIO()
    exported = export_lines(tmp_path, Wanted(), Asked(made_at=1), out, is_proven_only=True)
    assert (exported.num_records, exported.num_unproven) == (44, 6)
    assert verified(out.getvalue().splitlines(keepends=True)).is_proven


def test_a_changed_record_whose_proof_was_taken_away_is_not_proven(export: list[bytes]) -> None:
    """It says that no checkpoint covered it; nobody signed that either."""
    at = next(number for number, line in enumerate(export) if line.startswith(b'{"proof"'))
    record = export[at][export[at].index(b'"record":') :].replace(b"dictation", b"something")
    found = verified([*export[:at], b'{"proof":null,' + record, *export[at + 1 :]])
    assert (found.findings, found.num_unproven, found.is_proven) == ((), 1, False)


def test_a_record_that_stands_there_twice_is_found(export: list[bytes]) -> None:
    assert [finding.line for finding in verified([*export, export[-1]]).findings] == [len(export) + 1]


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_byte_of_an_export_that_is_changed_is_found(export: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(export))
    at = data.draw(st.integers(len(export[0]), len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    lines = [line + b"\n" for line in bytes(whole).split(b"\n")]
    lines[-1] = lines[-1][:-1]
    assert verified([line for line in lines if line]).findings
