"""A process that writes a decision log until it is killed: `python -m tests.harness.decision_writer DIRECTORY KEY`.

Prints `checkpoint` and the number of the last record under each checkpoint once it is on the disk.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.decision_log.chain_writer import ChainLimits, ChainWriter
from gateway.decision_log.file_log import FileDecisionLog, wall_clock_ms
from gateway.decision_log.left_behind import writers_seen
from gateway.decision_log.metrics import DecisionLogMetrics
from gateway.decision_log.settings import DecisionLogSettings
from gateway.decision_log.signing import load_signer
from tests.harness.decision_logs import record


def main() -> None:
    directory, key, writer_id = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    writer = f"eu-1/{writer_id}"
    settings = DecisionLogSettings(directory=directory, commit_ms=1, min_free_bytes=0)
    chain = ChainWriter(
        directory,
        writer,
        ChainLimits(20, 50, 40_000, 1 << 40),
        load_signer(key),
        now_ms=wall_clock_ms,
        seen=lambda: writers_seen(directory, but=writer),
    )
    chain.on_checkpoint = lambda made: print(f"checkpoint {made.seq}", flush=True)
    log = FileDecisionLog(chain, settings, DecisionLogMetrics(CollectorRegistry()))
    log.start()
    number = 0
    while True:
        log.record(record(number))
        number += 1
        if number % 10 == 0:
            time.sleep(0.001)


if __name__ == "__main__":
    main()
