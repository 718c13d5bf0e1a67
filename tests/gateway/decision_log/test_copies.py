from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.decision_log.copies import Copier, CopyFailed
from gateway.decision_log.copy_to_directory import DirectoryCopy
from gateway.decision_log.left_behind import last_checkpoint
from gateway.decision_log.metrics import DecisionLogMetrics
from gateway.decision_log.opened_files import log_files
from policies.residency.record_chain.chain import records_file
from policies.residency.record_chain.checkpoint import CheckpointKind
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import signing_keys, write, writer_in
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

WRITER = "eu-1/0123456789abcdef"


def wait_until(condition: Callable[[], bool]) -> None:
    asyncio.run(until(condition))


class Unreachable(DirectoryCopy):
    """Takes nothing as long as `is_away`."""

    is_away = True

    def put(self, name: str, path: Path) -> None:
        if self.is_away:
            raise CopyFailed("EHOSTUNREACH")
        super().put(name, path)


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    (tmp_path / "copy").mkdir()
    return tmp_path / "log"


def copier_to(place: DirectoryCopy, log: Path, registry: CollectorRegistry | None = None) -> Copier:
    metrics = DecisionLogMetrics(CollectorRegistry() if registry is None else registry)
    return Copier(log, place, metrics, checkpoint_interval_s=0.05)


def test_sealed_files_and_the_newest_checkpoint_of_the_open_one_are_copied(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    chain = writer_in(log)
    copier = copier_to(DirectoryCopy("directory-1", copy), log)
    chain.on_checkpoint = copier.look_again
    copier.start()
    write(chain, 40, rotate_after=16)
    wait_until(lambda: copier.has(records_file(WRITER, 2)))
    wait_until(lambda: any(".until-" in path.name for path in copy.iterdir()))
    assert not (copy / records_file(WRITER, 3)).exists(), "it is still written"
    cut = {name: lines for name, lines in log_files(log).items() if ".000003." not in name}
    found = verify_log(cut, signing_keys().keys, copies=[log_files(copy)])
    assert {finding.kind.value for finding in found.findings} >= {"missing_file"}, "the copy knows of the open file"
    assert verify_log(log_files(log), signing_keys().keys, copies=[log_files(copy)]).is_intact
    assert verify_log(log_files(copy), signing_keys().keys, is_copy=True).is_intact
    chain.close()
    copier.stop(5.0)
    assert (copy / records_file(WRITER, 3)).read_bytes() == (log / records_file(WRITER, 3)).read_bytes()
    assert not any(".until-" in path.name for path in copy.iterdir()), "the whole file is there"


def test_a_place_that_is_away_holds_nobody_up_and_gets_all_when_it_is_back(log: Path, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    place = Unreachable("directory-1", tmp_path / "copy")
    copier = copier_to(place, log, registry)
    chain = writer_in(log)
    write(chain, 20, rotate_after=5)
    chain.close()
    copier.start()

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"patchbay_decision_log_{name}", {"copy": "directory-1", **labels})

    wait_until(lambda: told("copy_failures_total", reason="EHOSTUNREACH") == 1)
    assert told("copy_backlog_files") == 10
    place.is_away = False
    copier.look_again()
    wait_until(lambda: told("copy_backlog_files") == 0)
    copier.stop(5.0)
    assert told("copied_total") == 10
    final = last_checkpoint(tmp_path / "copy", WRITER, 5)
    assert final is not None
    assert final.kind is CheckpointKind.closed


def test_what_the_place_has_is_not_sent_again(log: Path, tmp_path: Path) -> None:
    chain = writer_in(log)
    write(chain, 5)
    chain.close()
    registry = CollectorRegistry()
    for registry in (CollectorRegistry(), CollectorRegistry()):
        copier = copier_to(DirectoryCopy("directory-1", tmp_path / "copy"), log, registry)
        copier.start()
        copier.stop(5.0)
        assert copier.has(records_file(WRITER, 1))
    assert not registry.get_sample_value("patchbay_decision_log_copied_total", {"copy": "directory-1"})


def test_a_file_that_was_changed_here_does_not_change_its_copy(log: Path, tmp_path: Path) -> None:
    """Else whoever may write the log has its copy written for him, at the next start."""
    chain = writer_in(log)
    write(chain, 20, rotate_after=8)
    chain.close()
    copy, first = tmp_path / "copy", records_file(WRITER, 1)
    before = copier_to(DirectoryCopy("directory-1", copy), log)
    before.start()
    before.stop(5.0)
    as_it_was = (copy / first).read_bytes()
    lines = (log / first).read_bytes().splitlines(keepends=True)
    (log / first).write_bytes(b"".join(lines[:-1]))
    registry = CollectorRegistry()
    after = copier_to(DirectoryCopy("directory-1", copy), log, registry)
    after.start()
    after.stop(5.0)
    assert (copy / first).read_bytes() == as_it_was
    assert not after.has(first), "and so it is not deleted as old either"
    assert after.has(records_file(WRITER, 2)), "the others are copied all the same"
    labels = {"copy": "directory-1", "reason": "differs"}
    assert registry.get_sample_value("patchbay_decision_log_copy_failures_total", labels) == 1
