"""A real region: what policy decided of a session is on record, proven, and whole after the gateway was killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from gateway.decision_log.opened_files import log_files
from gateway.decision_log.reading import read_records
from gateway.decision_log.signing import load_public_keys
from policies.residency.record import Event
from policies.residency.record_chain.log_findings import WriterEnd
from policies.residency.record_chain.verify import verify_log
from tests.harness.command import patchbay
from tests.harness.recordings import path_of
from tests.harness.region import start_region
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_a_session_leaves_its_admission_and_its_placement_and_a_kill_leaves_the_log_whole(tmp_path: Path) -> None:
    with start_region(tmp_path, "--scripted") as region:
        data = next((tmp_path / "state" / "patchbay").glob("region-*"))
        decisions, key = data / "decisions", data / "decisions-key.pem.pub"
        outcome = patchbay(tmp_path, "transcribe", str(path_of("timer_rms.wav")), "--speed", "0", "--json")
        assert outcome.exit_code == 0
        await until(lambda: any(one.event is Event.placement for one in read_records(decisions)))
        admission, placement = (one for one in read_records(decisions) if one.session)
        assert (admission.event, admission.action, admission.decision) == (Event.admission, "terminate", "Allow")
        assert (placement.event, placement.action, placement.chosen) == (Event.placement, "process", "local")
        assert admission.session == placement.session
        os.kill(region.gateway_pid, signal.SIGKILL)
        await until(lambda: len(list(decisions.glob("*.found"))) == 1, what="the next gateway's word on what was left")
    found = verify_log(log_files(decisions), load_public_keys([key]))
    assert found.is_intact, found.findings
    assert sorted(writer.end for writer in found.writers) == [WriterEnd.closed, WriterEnd.found]
    assert {writer.num_unsigned for writer in found.writers} == {0}
