from __future__ import annotations

import json
from pathlib import Path

from gateway.decision_log.reading import read_records
from policies.residency.record import Event
from policies.residency.record_chain.chain import canonical
from tests.harness.decision_logs import NOW_MS, made_log


def put(directory: Path, log: dict[str, bytes]) -> Path:
    for name, content in log.items():
        (directory / name).write_bytes(content)
    return directory


def test_records_of_all_writers_come_by_time(tmp_path: Path) -> None:
    records = list(read_records(put(tmp_path, made_log())))
    decided = [one.ts for one in records if one.event is Event.placement]
    assert decided == sorted(decided)
    assert len({one.gateway for one in records}) == 2
    assert len(records) == sum(content.count(b"\n") for name, content in made_log().items() if name.endswith("jsonl"))


def test_only_what_is_asked_for_comes(tmp_path: Path) -> None:
    put(tmp_path, made_log())
    assert {one.session for one in read_records(tmp_path, session="session-3")} == {"session-3"}
    assert {one.org for one in read_records(tmp_path, org="acme", project="dictation")} == {"acme"}
    assert list(read_records(tmp_path, org="acme", project="other")) == []
    between = list(read_records(tmp_path, from_ms=NOW_MS + 3, until_ms=NOW_MS + 5))
    assert {one.ts for one in between} == {NOW_MS + 3, NOW_MS + 4}


def test_lines_that_are_no_records_are_passed_over_and_other_releases_read_as_far_as_known(tmp_path: Path) -> None:
    log = made_log(3, rotate_after=0)
    name = next(name for name in log if name.endswith("jsonl"))
    fields = json.loads(log[name].splitlines()[1])
    newer = canonical(fields | {"v": 2, "more": 1, "session": "newer"})
    stranger = canonical(fields | {"v": 2, "event": "unheard of", "session": "stranger"})
    put(tmp_path, {name: log[name] + newer + b"\n" + stranger + b"\nnothing\n" + b'{"torn'})
    assert [one.session for one in read_records(tmp_path, session="newer")] == ["newer"]
    assert list(read_records(tmp_path, session="stranger")) == []
