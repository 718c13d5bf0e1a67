"""Edge processes of a gateway are found by what they are, and killed. Real ones are in tests/scenarios."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from regions.lab.edges import edge_pids, kill_edges
from tests.harness.waiting import until_sync

pytestmark = pytest.mark.integration

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_only_children_that_are_edge_processes_are_struck() -> None:
    edge = subprocess.Popen([*SLEEPS, "-m", "gateway.webtransport", "--fd", "3"])
    other = subprocess.Popen(SLEEPS)
    try:
        until_sync(lambda: edge_pids(os.getpid()) == [edge.pid], what="the command of the process")
        assert kill_edges(os.getpid()) == [edge.pid]
        assert edge.wait(timeout=30) == -9
        assert edge_pids(os.getpid()) == []
        assert other.poll() is None
        assert edge_pids(other.pid) == []
    finally:
        for process in (edge, other):
            process.kill()
            process.wait()
