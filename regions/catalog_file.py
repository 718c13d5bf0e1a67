"""The catalog in force: read from its file at start, and again whenever the file changes (regions.watched_file)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from regions.catalog import Catalog
from regions.catalog_checks import Finding, findings
from regions.catalog_document import parse
from regions.watched_file import FileRefused, WatchedFile, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from regions.catalog_metrics import CatalogMetrics

CatalogRefused = FileRefused
"""`mistakes` lists each, with its place. Those of values hide those of the whole, which cannot be seen before."""

log = structlog.get_logger("catalog")


class Reading(NamedTuple):
    """A catalog that can be used, and what is odd about it."""

    catalog: Catalog
    warnings: tuple[Finding, ...]


def read_catalog(path: Path) -> Reading:
    """Read a catalog and check it as a whole. Raises CatalogRefused."""
    listing = parse(read_text(path))
    found = findings(listing.regions)
    mistakes = [str(finding) for finding in found if not finding.is_warning]
    if mistakes:
        raise CatalogRefused(mistakes)
    return Reading(
        Catalog(
            regions={region.name: region for region in listing.regions},
            digest=listing.digest,
            cost_reference=listing.cost_reference,
        ),
        tuple(found),
    )


class CatalogFile:
    """What is in force, and the watch over its file.

    Args:
        mistakes_with: what speaks against a catalog beside its own mistakes: what the settings say of its regions.

    Raises:
        CatalogRefused: there is nothing to go on with at start.
    """

    def __init__(
        self,
        path: Path,
        *,
        look_interval_ms: int,
        metrics: CatalogMetrics,
        mistakes_with: Callable[[Catalog], list[str]] = lambda _catalog: [],
    ) -> None:
        self._metrics = metrics
        self._mistakes_with = mistakes_with
        self._callbacks: list[Callable[[Catalog], None]] = []
        self._file = WatchedFile(path, self._read, self, look_interval_ms=look_interval_ms)
        self._catalog = self._file.content.catalog
        metrics.took(self._catalog.digest)

    def current(self) -> Catalog:
        return self._catalog

    def on_change(self, callback: Callable[[Catalog], None]) -> None:
        """Call it, on the event loop, with every later catalog. It must not raise: those behind it would miss it."""
        self._callbacks.append(callback)

    async def run(self) -> None:
        """Look after the file until cancelled."""
        await self._file.run()

    async def look(self) -> None:
        """See whether the file has changed; WatchedFile.look."""
        await self._file.look()

    def _read(self, path: Path) -> Reading:
        reading = read_catalog(path)
        mistakes = self._mistakes_with(reading.catalog)
        if mistakes:
            raise CatalogRefused(mistakes)
        return reading

    def took(self, content: Reading) -> None:
        before, self._catalog = self._catalog, content.catalog
        self._metrics.took(self._catalog.digest)
        if self._catalog == before:
            return
        log.info(
            "catalog.loaded",
            digest=self._catalog.digest,
            added=sorted(set(self._catalog.regions) - set(before.regions)),
            removed=sorted(set(before.regions) - set(self._catalog.regions)),
            warnings=len(content.warnings),
        )
        for callback in self._callbacks:
            callback(self._catalog)

    def rejected(self, refused: FileRefused) -> None:
        self._metrics.reload_failed.set(1)
        log.error("catalog.rejected", mistakes=list(refused.mistakes), digest=self._catalog.digest)
