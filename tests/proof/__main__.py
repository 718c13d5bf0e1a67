"""The long form of the proof: `python -m tests.proof [--cases N] [--seed S]`; exit code 0: no violation."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Mapping

import structlog

from tests.proof.bundles import starter_files
from tests.proof.placement import run_placement
from tests.proof.router import Tally, run_topology

PLACEMENT_EVERY = 3
"""Sessions under the whole placement in each so-manieth topology."""
_SAY_EVERY_S = 15.0
_SHOWN_VIOLATIONS = 20


def prove(starter: Mapping[str, bytes], *, cases: int, first_seed: int = 0, says_how_far: bool = False) -> Tally:
    """Topologies one after the other until so many cases are done."""
    tally, seed = Tally(), first_seed
    began_s = said_s = time.monotonic()
    while tally.cases < cases:
        tally.add(run_topology(seed, starter))
        if seed % PLACEMENT_EVERY == 0:
            tally.add(run_placement(seed, starter))
        seed += 1
        now_s = time.monotonic()
        if says_how_far and now_s - said_s > _SAY_EVERY_S:
            said_s = now_s
            print(
                f"{tally.cases:,} of {cases:,} cases, {len(tally.violations)} violations, {now_s - began_s:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return tally


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began_s = time.monotonic()
    tally = prove(starter_files(), cases=options.cases, first_seed=options.seed, says_how_far=True)
    figures = {
        "cases": tally.cases,
        "topologies": tally.topologies,
        "regions_held_against_the_oracle": tally.examined,
        "violations": len(tally.violations),
        "outcomes": dict(sorted(tally.outcomes.items())),
        "elapsed_s": round(time.monotonic() - began_s, 1),
    }
    print(json.dumps(figures, indent=2))
    for violation in tally.violations[:_SHOWN_VIOLATIONS]:
        print(violation, file=sys.stderr)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
