"""What several regions spend together, over every window, by each way of limiting: simulated time, the product's rules.

The same load, three times what the rate allows, in waves and then steadily, with one region cut off for 300 s. Prints a
table; with `--write` it goes into docs/limits.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from gateway.escrow.settings import EscrowSettings
from policies.plans import MICRO, Rate, WhenLimiterAway
from tests.benchmarks.document import markdown_table
from tests.harness.escrow_world import CentralBucket, EscrowWorld, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.harness.escrow_world import Spent

RATE = Rate(per_s=10 * MICRO, burst=60 * MICRO)
AWAY_MS = {"eu": 1, "us": 75, "ap": 120}
"""One way to the home region."""
SESSIONS = 201
CUT_S = (300, 600)
STEADY_S = (630, 900)
SEEDS = (1, 2, 3)
_PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
_MARKS = ("<!-- escrow: begin -->", "<!-- escrow: end -->")


@dataclass(frozen=True, slots=True)
class Way:
    """`bound_us`: of the excess; None: there is none."""

    name: str
    bound_us: int | None
    run: Callable[[int], Spent]


def load(num_sessions: int) -> Load:
    return Load(num_sessions, wave_s=60, quiet_s=20, waves_until_s=CUT_S[1])


def central(*, charges_at_end: bool) -> Callable[[int], Spent]:
    def run(seed: int) -> Spent:
        bucket = CentralBucket(RATE, load(SESSIONS), charges_at_end=charges_at_end, seed=seed)
        bucket.clock.run(STEADY_S[1] * MICRO)
        return bucket.spent

    return run


def lent(settings: EscrowSettings, *, is_cut: bool, when_away: WhenLimiterAway) -> Callable[[int], Spent]:
    def run(seed: int) -> Spent:
        of_each = load(SESSIONS // len(AWAY_MS))
        world = EscrowWorld(settings, RATE, of_each, AWAY_MS, seed=seed, loss=0.01, when_away=when_away)
        world.run(CUT_S[0])
        world.regions["ap"].is_cut_off = is_cut
        world.run(CUT_S[1] - CUT_S[0])
        world.regions["ap"].is_cut_off = False
        world.run(STEADY_S[1] - CUT_S[1])
        return world.spent

    return run


def lending(name: str, *, is_cut: bool = True, safe_us: int = 0, **changes: Any) -> Way:
    """`safe_us`: what the region that is cut off may spend by its safe rate."""
    addresses = {region: f"{region}:8083" for region in AWAY_MS}
    secret = SecretStr("a secret of regions")
    settings = EscrowSettings(default_home="eu", addresses=addresses, secret=secret, least_holding_us=1_000, **changes)
    when_away = WhenLimiterAway.safe if settings.safe_share_permille else WhenLimiterAway.closed
    holdings_us = 0 if settings.covers_loans else len(AWAY_MS) * settings.holding().holding_us(RATE)
    return Way(name, holdings_us + safe_us, lent(settings, is_cut=is_cut, when_away=when_away))


def ways() -> list[Way]:
    share = 50
    safe_us = RATE.per_s * share // 1_000 * (CUT_S[1] - CUT_S[0])
    return [
        Way("charged when the session ends", None, central(charges_at_end=True)),
        Way("the root asked for every second of audio", 0, central(charges_at_end=False)),
        lending("lent", is_cut=False),
        lending("lent; cut off, `closed`"),
        lending("lent, `holding_ms` 1,000; cut off, `closed`", holding_ms=1_000),
        lending("lent, `covers_loans`; cut off, `closed`", covers_loans=True, holding_ms=1_000),
        lending("lent; cut off, `safe` 5 %", safe_us=safe_us, safe_share_permille=share),
        lending("lent; cut off, `safe` 5 % set aside", safe_share_permille=share, sets_safe_share_aside=True),
    ]


def row(way: Way, seeds: Sequence[int]) -> list[str]:
    runs = [way.run(seed) for seed in seeds]
    excesses = [run.worst_excess_us(RATE) / MICRO for run in runs]
    used = [run.utilisation(RATE, from_us=STEADY_S[0] * MICRO, until_us=STEADY_S[1] * MICRO) for run in runs]
    asked = sum(run.num_root_calls for run in runs) / len(runs) / STEADY_S[1]
    return [
        way.name,
        " / ".join(f"{excess:,.1f}" for excess in excesses),
        "none" if way.bound_us is None else f"{way.bound_us / MICRO:,.0f}",
        f"{min(used):.1%}",
        f"{asked:,.1f}",
    ]


def table(seeds: Sequence[int]) -> str:
    header = [
        "way of limiting",
        "worst excess, each seed",
        "proven bound",
        "rate used, least",
        "asks of the root, per s",
    ]
    return markdown_table(header, [row(way, seeds) for way in ways()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/limits.md")
    arguments = parser.parse_args()
    text = table(SEEDS)
    print(text)
    if arguments.write:
        before, _, rest = _PAGE.read_text(encoding="utf-8").partition(_MARKS[0])
        _, _, after = rest.partition(_MARKS[1])
        _PAGE.write_text(f"{before}{_MARKS[0]}\n\n{text}\n\n{_MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
