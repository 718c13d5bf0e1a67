"""The plans in force: read from a file at start, and again whenever the file changes.

These must stay true:
  - A file that cannot be used changes nothing: the plans that were in force stay so, and every mistake is logged.
  - A changed file is read only when two looks in a row saw it the same, and taken only if it was the same before and
    after reading. So a file that is being written is not read in the middle, as long as its writer does not pause for
    longer than the time between two looks.
  - Nothing here waits on the audio path: `resolve` works on the book in memory.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gateway.limits.plans_document import DocumentRefused, Mistake, parse, read_tree
from policies.plan_book import PlanBook, UnknownPlan
from policies.plan_checks import Finding, findings
from policies.plans import MICRO

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from gateway.limits.plans_metrics import PlansMetrics
    from policies.facts import Caller
    from policies.plans import CallerPlan

MAX_FILE_BYTES = 8_388_608
DEFAULT_LEAST_COMPUTE_BURST = 5 * MICRO // 8
"""Of the default gateway.limits.settings.CreditSettings: 2.5 s of audio at 0.25 compute-seconds each."""
_MAX_REMEMBERED = 20_000
_MS_PER_S = 1_000

log = structlog.get_logger("gateway")

_BUILT_IN = {
    "default_plan": "unlimited",
    "fallback_plan": "unlimited",
    "plans": {"unlimited": {"when_limiter_away": "open", "max_session_ms": 604_800_000}},
}


class PlansRefused(Exception):
    """A plans file cannot be used; `mistakes` lists each, with the place where it stands."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = mistakes


class Reading(NamedTuple):
    """A book that can be used, and what is odd about it."""

    book: PlanBook
    warnings: list[Mistake]


class _Stamp(NamedTuple):
    """What changes whenever a file's content does. Of what a link points to, so that a swapped link shows too."""

    device: int
    inode: int
    size_bytes: int
    modified_at_ns: int
    changed_at_ns: int


def built_in_plans() -> PlanBook:
    """Where no file is configured: one plan without limits, whatever a token names."""
    return read_tree(_BUILT_IN)


def read_plans(path: Path, *, least_compute_burst: int = DEFAULT_LEAST_COMPUTE_BURST) -> Reading:
    """Read a plans file and check it as a whole.

    Args:
        least_compute_burst: what one reservation may need, in micro-compute-seconds; no burst may be below it.

    Raises:
        PlansRefused: every mistake. Those of values hide those of the whole, which cannot be seen before.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PlansRefused([Mistake((), f"{path}: {error.strerror}", error.strerror or "cannot be read")]) from None
    if len(raw) > MAX_FILE_BYTES:
        raise PlansRefused([Mistake((), f"larger than {MAX_FILE_BYTES} bytes")])
    try:
        book = parse(raw.decode())
    except UnicodeDecodeError as error:
        raise PlansRefused([Mistake((), f"not UTF-8 at byte {error.start}")]) from None
    except DocumentRefused as refused:
        raise PlansRefused(refused.mistakes) from None
    found = findings(book, least_compute_burst=least_compute_burst)
    mistakes = [_mistake_of(finding) for finding in found if not finding.is_warning]
    if mistakes:
        raise PlansRefused(mistakes)
    return Reading(book, [_mistake_of(finding) for finding in found])


class Plans:
    """What is in force, and the watch over its file."""

    def __init__(
        self, path: Path | None, *, least_compute_burst: int, look_interval_ms: int, metrics: PlansMetrics
    ) -> None:
        """Read the file for the first time.

        Raises:
            PlansRefused: there is nothing to go on with at start.
        """
        self._path = path
        self._least_compute_burst = least_compute_burst
        self._look_interval_ms = look_interval_ms
        self._metrics = metrics
        self._remembered: dict[Hashable, CallerPlan | None] = {}
        self._has_failed = False
        if path is None:
            self._taken = self._last_seen = None
            self._book = built_in_plans()
        else:
            self._taken = self._last_seen = _stamp(path)
            self._book = read_plans(path, least_compute_burst=least_compute_burst).book
        metrics.took(self._book.rating_version)

    def current(self) -> PlanBook:
        return self._book

    def resolve(self, caller: Caller) -> CallerPlan | None:
        """What holds for this caller; None: the token names a plan that is not known. Does not wait.

        The same object until the plans change, for the same caller.
        """
        who = (caller.tenant, caller.project, caller.subject, caller.plan)
        return self._remember(who, lambda: self._book.resolve(caller))

    @property
    def version(self) -> str:
        """Another one whenever any plan may have changed."""
        return self._book.rating_version

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | None:
        """What holds by now for who was admitted with that plan; None: it is gone. Does not wait."""
        return self._remember((plan.principal, plan.name), lambda: self._book.resolve_again(plan))

    def _remember(self, who: Hashable, resolve: Callable[[], CallerPlan | UnknownPlan]) -> CallerPlan | None:
        """Resolve once for each caller and book."""
        if who not in self._remembered:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            resolved = resolve()
            self._remembered[who] = None if isinstance(resolved, UnknownPlan) else resolved
        return self._remembered[who]

    async def run(self) -> None:
        """Look after the file until cancelled."""
        if self._path is None:
            return
        while True:
            await asyncio.sleep(self._look_interval_ms / _MS_PER_S)
            await self.look()

    async def look(self) -> None:
        """See whether the file has changed; at the second look that sees the same change, take it."""
        if self._path is None:
            return
        seen = await asyncio.to_thread(_stamp, self._path)
        is_still = seen == self._last_seen
        self._last_seen = seen
        if seen == self._taken or not is_still:
            return
        try:
            reading = await asyncio.to_thread(read_plans, self._path, least_compute_burst=self._least_compute_burst)
        except PlansRefused as refused:
            if await self._is_as(seen):
                self._reject(refused)
        else:
            if await self._is_as(seen):
                self._take(reading)

    async def _is_as(self, seen: _Stamp | None) -> bool:
        """Whether what was read is what was seen; then it need not be read again."""
        self._last_seen = await asyncio.to_thread(_stamp, self._path) if self._path is not None else None
        if self._last_seen != seen:
            return False
        self._taken = seen
        return True

    def _take(self, reading: Reading) -> None:
        book = reading.book
        if book.rating_version == self._book.rating_version and not self._has_failed:
            return
        self._book = book
        self._remembered.clear()
        self._has_failed = False
        self._metrics.took(book.rating_version)
        log.info(
            "plans.loaded",
            rating_version=book.rating_version,
            plans=len(book.plans),
            orgs=len(book.orgs),
            warnings=len(reading.warnings),
        )

    def _reject(self, refused: PlansRefused) -> None:
        self._has_failed = True
        self._metrics.reload_failed.set(1)
        log.error(
            "plans.rejected",
            mistakes=[mistake.for_log() for mistake in refused.mistakes],
            rating_version=self._book.rating_version,
        )


def _stamp(path: Path) -> _Stamp | None:
    """None where there is no file to read."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _mistake_of(finding: Finding) -> Mistake:
    return Mistake(finding.place, finding.text)
