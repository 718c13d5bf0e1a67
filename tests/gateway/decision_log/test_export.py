from __future__ import annotations

import csv
import io
from pathlib import Path

from gateway.decision_log.export import export_csv, export_lines
from gateway.decision_log.reading import Wanted
from policies.residency.record_chain.export_proof import Asked, verify_export
from tests.harness.decision_logs import made_log, record, signing_keys, writer_in


def put(directory: Path, log: dict[str, bytes]) -> Path:
    for name, content in log.items():
        (directory / name).write_bytes(content)
    return directory


def test_a_table_has_a_row_for_each_record_and_a_column_for_each_field(tmp_path: Path) -> None:
    out = io.StringIO()
    assert export_csv(put(tmp_path, made_log()), Wanted(org="acme"), out) == 40
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert {row["org"] for row in rows} == {"acme"}
    assert rows[0]["candidate_regions"] == "eu-1 eu-2"
    assert rows[0]["context_subject"] == "FR"


def test_a_text_that_a_spreadsheet_would_run_is_quoted(tmp_path: Path) -> None:
    chain = writer_in(tmp_path)
    chain.check()
    chain.write([(1, record(0, session="=HYPERLINK(0)"))])
    chain.close()
    out = io.StringIO()
    export_csv(tmp_path, Wanted(session="=HYPERLINK(0)"), out)
    assert next(csv.DictReader(io.StringIO(out.getvalue())))["session"] == "'=HYPERLINK(0)"


def test_what_was_changed_in_the_log_is_exported_without_a_proof(tmp_path: Path) -> None:
    log = made_log()
    name = next(name for name in log if name.endswith("jsonl"))
    put(tmp_path, {**log, name: log[name].replace(b'"latency_us":2,', b'"latency_us":7,')})
    out = io.BytesIO()
    exported = export_lines(tmp_path, Wanted(), Asked(made_at=1), out)
    assert exported.num_unproven == 7, "all under the checkpoint that does not fit"
    assert verify_export(io.BytesIO(out.getvalue()), signing_keys().keys).num_unproven == 7
