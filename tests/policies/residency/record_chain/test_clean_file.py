"""A file that was read ahead is believed only where reading it line by line would have said the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.record_chain.clean_file import FileJob, read_clean
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import made_log, opened_lines, signing_keys

pytestmark = pytest.mark.unit

LOG = made_log()
OPEN = made_log(24, rotate_after=9, closed=False)
A1 = "eu-1.00000000000000aa.000001.jsonl"


def lines_of(name: str) -> list[bytes]:
    return LOG[name].splitlines(keepends=True)


def test_what_a_chain_needs_of_a_clean_file_is_said() -> None:
    clean = read_clean(FileJob("eu-1/00000000000000aa", 1, {}, {}), lines_of(A1))
    assert clean is not None
    assert (clean.first_seq, clean.first_prev, clean.num_lines) == (0, "0" * 64, len(lines_of(A1)))
    assert len(clean.open_entries) == clean.num_lines, "no checkpoint was named"


@pytest.mark.parametrize("wrong", ["torn", "taken", "moved", "empty", "another", "said"])
def test_of_any_other_file_nothing_is_said(wrong: str) -> None:
    lines = lines_of(A1)
    job = FileJob("eu-1/00000000000000aa", 1, {}, {})
    if wrong == "torn":
        lines.append(b"{}")
    elif wrong == "taken":
        del lines[3]
    elif wrong == "moved":
        lines[2:4] = lines[3:1:-1]
    elif wrong == "empty":
        lines = []
    elif wrong == "another":
        job = FileJob("eu-1/00000000000000bb", 1, {}, {})
    else:
        job = FileJob(job.writer, 1, {}, {4: frozenset({"0" * 64})})
    assert read_clean(job, lines) is None


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_reading_ahead_changes_no_answer(data: st.DataObject) -> None:
    log = dict(data.draw(st.sampled_from((LOG, OPEN))))
    name = data.draw(st.sampled_from(sorted(log)))
    lines = log[name].splitlines(keepends=True)
    at, to = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    what = data.draw(st.sampled_from(("nothing", "take", "double", "move", "byte", "delete", "cut")))
    line = lines.pop(at)
    if what == "double":
        lines[at:at] = [line, line]
    elif what == "move":
        lines.insert(to, line)
    elif what == "byte":
        changed = bytearray(line)
        changed[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))
        lines.insert(at, bytes(changed))
    elif what == "nothing":
        lines.insert(at, line)
    log[name] = b"".join(lines) if what != "cut" else b"".join(lines[:at])
    if what == "delete":
        del log[name]
    by_line = verify_log(opened_lines(log), signing_keys().keys, ahead=lambda jobs: [None] * len(jobs))
    assert verify_log(opened_lines(log), signing_keys().keys) == by_line
    copy = opened_lines(LOG)
    by_line = verify_log(opened_lines(log), signing_keys().keys, copies=[copy], ahead=lambda jobs: [None] * len(jobs))
    assert verify_log(opened_lines(log), signing_keys().keys, copies=[copy]) == by_line
