"""What a verifier promises: nothing can be changed, taken away, put in, moved or cut off without being found."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.record import DecisionRecord, Event
from policies.residency.record_chain.chain import ZERO_HASH, canonical, line_hash, read_record
from policies.residency.record_chain.log_findings import FindingKind, WriterEnd
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import made_log, opened_lines, places, signing_keys, verified

if TYPE_CHECKING:
    from policies.residency.record_chain.log_findings import Verified

pytestmark = pytest.mark.unit

A1 = "eu-1.00000000000000aa.000001.jsonl"
A2 = "eu-1.00000000000000aa.000002.jsonl"
A3 = "eu-1.00000000000000aa.000003.jsonl"
A_FILES = [name.replace("jsonl", end) for name in (A1, A2, A3) for end in ("jsonl", "checkpoints")]
A1_CHECKPOINTS = A1.replace("jsonl", "checkpoints")
LOG = made_log()


def lines_of(name: str) -> list[bytes]:
    return LOG[name].split(b"\n")[:-1]


def with_lines(name: str, lines: list[bytes]) -> dict[str, bytes]:
    return {**LOG, name: b"".join(line + b"\n" for line in lines)}


def kinds(found: Verified) -> set[str]:
    return {finding.kind.value for finding in found.findings}


def test_a_log_as_it_was_written_is_intact() -> None:
    found = verified(LOG)
    assert found.is_intact
    assert found.notes == ()
    assert [(writer.num_files, writer.end, writer.num_unsigned) for writer in found.writers] == [
        (3, WriterEnd.closed, 0)
    ] * 2
    assert found.num_records == sum(content.count(b"\n") for name, content in LOG.items() if name.endswith("jsonl"))


def test_a_changed_record_is_found_at_its_line() -> None:
    lines = lines_of(A1)
    lines[4] = lines[4].replace(b'"org":"acme"', b'"org":"evil"').replace(b'"org":"globex"', b'"org":"evil"')
    assert places(verified(with_lines(A1, lines))) == {("changed", A1, 5)}


def test_a_changed_number_or_link_of_a_record_is_found_at_its_line() -> None:
    lines = lines_of(A1)
    lines[4] = lines[4].replace(b'"seq":4,', b'"seq":9,')
    assert ("changed", A1, 5) in places(verified(with_lines(A1, lines)))
    lines = lines_of(A1)
    at = lines[4].index(b'"prev_hash":"') + len(b'"prev_hash":"')
    lines[4] = lines[4][:at] + b"0" * 64 + lines[4][at + 64 :]
    assert ("changed", A1, 5) in places(verified(with_lines(A1, lines)))


def test_removed_records_are_found_at_what_comes_after_them() -> None:
    lines = lines_of(A1)
    found = verified(with_lines(A1, lines[:3] + lines[6:]))
    assert ("missing", A1, 4) in places(found)
    assert "records 3 to 5" in next(f.text for f in found.findings if f.kind is FindingKind.missing)


def test_swapped_records_are_found_as_reordered() -> None:
    lines = lines_of(A1)
    lines[3], lines[4] = lines[4], lines[3]
    assert places(verified(with_lines(A1, lines))) == {("reordered", A1, 5)}


def test_a_record_that_stands_there_twice_is_found() -> None:
    lines = lines_of(A1)
    assert places(verified(with_lines(A1, [*lines[:5], lines[4], *lines[5:]]))) == {("duplicated", A1, 6)}


def test_a_forged_record_that_fits_its_neighbours_is_found() -> None:
    lines = lines_of(A1)
    forged = lines[5].replace(b"eu-strict", b"anything-")
    found = verified(with_lines(A1, [*lines[:5], forged, *lines[5:]]))
    assert not found.is_intact
    assert all(place[1] == A1 and place[2] in (6, 7) for place in places(found))


def test_a_line_that_is_no_record_is_found_at_its_line_alone() -> None:
    lines = lines_of(A1)
    assert places(verified(with_lines(A1, [*lines[:5], b"{}", *lines[5:]]))) == {("malformed", A1, 6)}
    assert places(verified(with_lines(A1, [*lines[:5], b"", *lines[5:]]))) == {("malformed", A1, 6)}


def test_a_record_of_another_writer_is_foreign() -> None:
    lines = lines_of(A1)
    other = LOG[A1.replace("aa", "bb")].split(b"\n")[2]
    assert places(verified(with_lines(A1, [*lines[:5], other, *lines[5:]]))) == {("foreign", A1, 6)}


def test_a_tail_that_was_cut_off_is_found_by_the_checkpoint_that_knows_more() -> None:
    lines = lines_of(A3)
    found = verified(with_lines(A3, lines[:-2]))
    assert ("truncated", A3, len(lines) - 1) in places(found)


def test_a_tail_cut_off_with_its_checkpoints_is_found_by_a_copy_and_by_a_writer_that_saw_it() -> None:
    cut = {name: content for name, content in LOG.items() if name != A3}
    name = A3.replace("jsonl", "checkpoints")
    cut.pop(name)
    found = verified(cut)
    assert kinds(found) == {"truncated"}, "the second writer saw how far the first one was"
    alone = {name: content for name, content in cut.items() if ".00000000000000aa." in name}
    assert verified(alone).is_intact, "nobody is left who knows"
    found = verified(alone, copies=(LOG,))
    assert ("missing_file", A3, 0) in places(found)


def test_an_intermediate_file_that_is_gone_is_found_by_name() -> None:
    found = verified({name: content for name, content in LOG.items() if name != A2})
    assert places(found) == {("missing_file", A2, 0)}


def test_a_writer_of_whom_nothing_is_left_is_missed_by_those_who_saw_it() -> None:
    found = verified({name: content for name, content in LOG.items() if ".00000000000000aa." not in name})
    assert kinds(found) == {"missing_writer"}
    assert found.findings[0].writer == "eu-1/00000000000000aa"


def test_a_changed_checkpoint_is_found_by_its_signature() -> None:
    lines = lines_of(A1_CHECKPOINTS)
    lines[1] = lines[1].replace(b'"ts":17', b'"ts":16')
    assert places(verified(with_lines(A1_CHECKPOINTS, lines))) == {("checkpoint_signature", A1_CHECKPOINTS, 2)}


def test_a_checkpoint_that_is_taken_away_is_found() -> None:
    lines = lines_of(A1_CHECKPOINTS)
    found = verified(with_lines(A1_CHECKPOINTS, [lines[0], *lines[2:]]))
    assert ("checkpoint_chain", A1_CHECKPOINTS, 2) in places(found)


def test_a_key_that_was_not_given_is_told_from_a_broken_signature() -> None:
    found = verified(LOG, keys=signing_keys("another").keys)
    assert kinds(found) == {"checkpoint_key", "unsealed_file", "checkpoint_missing"}


def test_without_a_key_the_chain_is_checked_and_a_note_says_that_signatures_are_not() -> None:
    found = verify_log(opened_lines(LOG), {})
    assert found.is_intact
    assert len(found.notes) == 1


def test_a_chain_that_was_written_anew_is_found_by_the_next_checkpoint() -> None:
    """Whoever has no key can chain records as well as the writer can."""
    lines, anew, before = lines_of(A1), [], ZERO_HASH
    for number, line in enumerate(lines):
        read = read_record(line)
        assert isinstance(read, DecisionRecord)
        detail = "forged" if number == 4 else read.detail
        anew.append(canonical(msgspec.structs.replace(read, prev_hash=before, detail=detail)))
        before = line_hash(anew[-1])
    found = verified(with_lines(A1, anew))
    assert {"checkpoint_hash"} <= kinds(found)
    assert min(place[2] for place in places(found) if place[0] == "checkpoint_hash") <= 4 + 7 + 1


def test_records_after_the_last_word_of_a_file_are_found() -> None:
    lines = lines_of(A3)
    last = read_record(lines[-1])
    assert isinstance(last, DecisionRecord)
    more = canonical(msgspec.structs.replace(last, seq=last.seq + 1, prev_hash=line_hash(lines[-1])))
    assert "appended" in kinds(verified(with_lines(A3, [*lines, more])))
    assert "appended" in kinds(verified({**LOG, A3: LOG[A3] + b"half of a rec"}))


def test_what_was_not_signed_yet_is_told_and_is_no_finding() -> None:
    log = made_log(24, rotate_after=0, closed=False)
    found = verified(log)
    assert found.is_intact
    assert [writer.end for writer in found.writers] == [WriterEnd.open] * 2
    assert [writer.num_unsigned for writer in found.writers] == [3, 3]
    torn = {**log, A1: log[A1] + b'{"half'}
    assert verified(torn).is_intact
    assert "unsealed tail: 6 bytes" in verified(torn).notes[0]


def test_a_file_cannot_be_hidden_behind_a_record_that_nobody_signed() -> None:
    """Whoever may write the files and has no key can chain a record to a tail, and say that a file was deleted."""
    log = made_log(22, rotate_after=9, closed=False)
    last = max(name for name in log if name.startswith("eu-1.00000000000000bb") and name.endswith(".jsonl"))
    lines = log[last].rstrip(b"\n").split(b"\n")
    tail = read_record(lines[-1])
    assert isinstance(tail, DecisionRecord)
    says = DecisionRecord(
        event=Event.log,
        action="pruned",
        detail=A1,
        seq=tail.seq + 1,
        gateway=tail.gateway,
        prev_hash=line_hash(lines[-1]),
    )
    hidden = {name: content for name, content in log.items() if name != A1}
    hidden[last] += canonical(says) + b"\n"
    found = verified(hidden)
    assert [(one.kind.value, one.file) for one in found.findings] == [("missing_file", A1)]
    assert "under no checkpoint" in found.findings[0].text


def test_a_copy_may_be_behind_and_says_so() -> None:
    copy = {name: content for name, content in LOG.items() if "000003" not in name}
    found = verify_log(opened_lines(copy), signing_keys().keys, is_copy=True)
    assert found.is_intact
    assert found.notes


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_byte_that_is_changed_is_found(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(LOG)))
    content = bytearray(LOG[name])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    found = verified({**LOG, name: bytes(content)})
    if name.endswith("000003.checkpoints") and at == len(content) - 1:
        # The end of a writer's last line of checkpoints: what a kill in the middle of writing leaves looks the same.
        assert found.notes == (f"{name}: its last line was not written whole",)
        return
    assert not found.is_intact
    line = bytes(LOG[name][:at]).count(b"\n") + 1
    if name.endswith("jsonl"):
        near = [place for place in places(found) if place[1] == name and abs(place[2] - line) <= 1]
        is_at_the_end = line >= LOG[name].count(b"\n")
        assert near or is_at_the_end, f"{name}:{line} {places(found)}"


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_line_that_is_taken_doubled_or_moved_is_found(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(LOG)))
    lines = lines_of(name)
    at = data.draw(st.integers(0, len(lines) - 1))
    what = data.draw(st.sampled_from(["take", "double", "move"]))
    line = lines.pop(at)
    if what == "double":
        lines[at:at] = [line, line]
    elif what == "move":
        to = data.draw(st.integers(0, len(lines)))
        if to == at:
            return
        lines.insert(to, line)
    assert not verified(with_lines(name, lines), copies=(LOG,)).is_intact
    is_last_word = name.endswith("000003.checkpoints") and what == "take" and at == len(lines)
    if not is_last_word:
        assert not verified(with_lines(name, lines)).is_intact, "only a writer's last word needs a copy to be missed"


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_file_that_is_taken_cut_or_exchanged_is_found_beside_a_copy(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(LOG)))
    what = data.draw(st.sampled_from(["take", "cut", "exchange"]))
    changed = dict(LOG)
    if what == "take":
        del changed[name]
    elif what == "cut":
        changed[name] = changed[name][: data.draw(st.integers(0, len(changed[name]) - 1))]
    else:
        other = data.draw(st.sampled_from(sorted(set(LOG) - {name})))
        changed[name], changed[other] = changed[other], changed[name]
    assert not verified(changed, copies=(LOG,)).is_intact


def test_many_findings_are_counted_and_the_first_are_listed() -> None:
    rng = random.Random(7)
    lines = lines_of(A1)
    rng.shuffle(lines)
    assert verified(with_lines(A1, lines * 300)).num_findings > 1_000
    assert len(verified(with_lines(A1, lines * 300)).findings) == 1_000
