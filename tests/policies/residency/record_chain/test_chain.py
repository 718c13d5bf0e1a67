from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.record_chain.chain import (
    LogFile,
    NotCanonical,
    canonical,
    checkpoints_file,
    found_file,
    line_hash,
    parse_file_name,
    read_link,
    read_record,
    records_file,
    until_file,
    writer_name,
)

pytestmark = pytest.mark.unit

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
records = st.builds(
    DecisionRecord,
    event=st.sampled_from(Event),
    seq=st.integers(0, 2**53),
    session=texts,
    detail=texts,
    candidate_regions=st.lists(texts, max_size=3).map(tuple),
    context=st.builds(RecordContext, subject=texts),
)


@given(records)
def test_a_line_is_what_rfc_8785_says_of_objects_texts_and_whole_numbers(record: DecisionRecord) -> None:
    line = canonical(record)
    fields = json.loads(line)
    assert line == json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert b"\n" not in line
    assert read_record(line) == record


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b'{"a":1}',
        b"[" * 2_000,
        canonical(DecisionRecord(event=Event.log)) + b" ",
        canonical(DecisionRecord(event=Event.log)).replace(b'"v":1', b'"v":1.0'),
        canonical(DecisionRecord(event=Event.log)).replace(b'"v":1', b'"v":1,"v":1'),
        canonical(DecisionRecord(event=Event.log)).replace(b'"action":"",', b""),
    ],
)
def test_what_no_writer_would_have_written_is_no_record(line: bytes) -> None:
    with pytest.raises(NotCanonical):
        read_record(line)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_are_refused(line: bytes) -> None:
    try:
        read_record(line)
    except NotCanonical:
        return


def test_a_record_of_another_version_is_read_as_far_as_a_chain_needs() -> None:
    fields = json.loads(canonical(DecisionRecord(event=Event.log, seq=4))) | {"v": 2, "event": "new", "more": ["x"]}
    read = read_record(canonical(fields))
    assert not isinstance(read, DecisionRecord)
    assert (read["seq"], read["more"]) == (4, ["x"])
    with pytest.raises(NotCanonical, match="no record"):
        read_record(canonical(fields | {"more": 1.5}))
    with pytest.raises(NotCanonical, match="lacks"):
        read_record(canonical({name: value for name, value in fields.items() if name != "gateway"}))


def test_the_hash_of_a_line_is_its_sha_256() -> None:
    assert line_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_names_of_files_say_whose_they_are_and_come_back() -> None:
    writer = writer_name("eu-central-1", "0123456789abcdef")
    names = (records_file(writer, 7), checkpoints_file(writer, 7), found_file(writer, 7), until_file(writer, 7, 99))
    assert names[0] == "eu-central-1.0123456789abcdef.000007.jsonl"
    kinds = ("jsonl", "checkpoints", "found", "until-99")
    assert [parse_file_name(name) for name in names] == [LogFile(writer, 7, kind) for kind in kinds]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a.jsonl",
        "eu.0123456789abcdef.7.jsonl",
        "eu.0123456789abcdef.0000007.jsonl",
        "EU.0123456789abcdef.000007.jsonl",
    ],
)
def test_other_names_are_of_no_log(name: str) -> None:
    assert parse_file_name(name) is None


@given(data=st.data())
def test_a_link_is_what_the_record_says_and_refuses_what_a_record_refuses(data: st.DataObject) -> None:
    record = DecisionRecord(event=Event.log, action="pruned", detail="ünïcode", seq=4, gateway="eu-1/a", prev_hash="b")
    line = bytearray(canonical(record))
    if data.draw(st.booleans()):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_record(bytes(line))
    except NotCanonical:
        with pytest.raises(NotCanonical):
            read_link(bytes(line))
        return
    link = read_link(bytes(line))
    for name in ("seq", "gateway", "action", "detail", "prev_hash"):
        assert getattr(link, name) == (getattr(read, name) if isinstance(read, DecisionRecord) else read[name])
