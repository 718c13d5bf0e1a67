from __future__ import annotations

from pathlib import Path

import pytest

from gateway.decision_log.opened_files import log_files
from gateway.decision_log.read_ahead import read_ahead
from policies.residency.record_chain.clean_file import FileJob
from policies.residency.record_chain.verify import verify_log
from tests.harness.decision_logs import made_log, signing_keys

pytestmark = pytest.mark.integration


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    for name, content in made_log().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_files_read_in_other_processes_give_the_same_answer(log: Path) -> None:
    ahead = read_ahead(log, processes=2, worth_bytes=0)
    assert ahead is not None
    keys = signing_keys().keys
    assert verify_log(log_files(log), keys, ahead=ahead) == verify_log(log_files(log), keys)
    path = max(log.glob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:-1])
    found = verify_log(log_files(log), keys, ahead=ahead)
    assert found == verify_log(log_files(log), keys)
    assert not found.is_intact
    jobs = [FileJob("eu-1/00000000000000aa", 1, {}, {}), FileJob("eu-1/00000000000000aa", 9, {}, {})]
    assert [clean is None for clean in ahead(jobs)] == [False, True], "a file that is gone is for the reader to miss"


def test_what_is_small_is_read_by_one_process(log: Path) -> None:
    assert read_ahead(log, processes=2) is None
    assert read_ahead(log, processes=1, worth_bytes=0) is None
