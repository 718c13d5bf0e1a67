from __future__ import annotations

from pathlib import Path

from gateway.decision_log.old_files import delete_old_files
from gateway.decision_log.opened_files import log_files
from policies.residency.record import DecisionRecord
from policies.residency.record_chain.chain import records_file
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import NOW_MS, signing_keys, write, writer_in

WRITER = "eu-1/0123456789abcdef"


class ToChain:
    is_writable = True

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        self.records.append(record)
        return True


def test_old_files_go_and_the_log_says_so_and_stays_whole(tmp_path: Path) -> None:
    chain = writer_in(tmp_path)
    write(chain, 40, rotate_after=12)
    told, to_go = ToChain(), set[str]()
    assert delete_old_files(tmp_path, told, to_go, sealed_before_ms=NOW_MS, is_copied=lambda _: True) == 0
    assert delete_old_files(tmp_path, told, to_go, sealed_before_ms=NOW_MS + 1, is_copied=lambda _: False) == 0
    first, second = records_file(WRITER, 1), records_file(WRITER, 2)

    def look() -> int:
        return delete_old_files(
            tmp_path, told, to_go, sealed_before_ms=NOW_MS + 1, is_copied=lambda name: name in (first, second)
        )

    assert look() == 0, "first the log says so"
    assert [record.detail for record in told.records] == [first, second]
    told.is_writable = False
    assert look() == 0, "nobody can tell now whether what was said is on the disk"
    told.is_writable = True
    assert look() == 2
    assert len(told.records) == 2
    chain.write([(NOW_MS, record) for record in told.records])
    chain.close()
    found = verify_log(log_files(tmp_path), signing_keys().keys)
    assert found.is_intact, found.findings
    assert [note for note in found.notes if "deleted as old" in note] == [
        f"{first}: deleted as old",
        f"{second}: deleted as old",
    ]
    (tmp_path / records_file(WRITER, 3)).unlink()
    found = verify_log(log_files(tmp_path), signing_keys().keys)
    assert [(one.kind.value, one.file) for one in found.findings] == [("missing_file", records_file(WRITER, 3))]
