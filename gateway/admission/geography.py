"""Who comes, and from where: the client's address behind trusted proxies, and its place by their headers or a database.

A connection that no proxy forwards costs one look at its address; without proxies and databases, nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.admission.client_address import TrustedProxies, address_of, client_behind
from gateway.admission.edge_headers import place_of_headers
from gateway.admission.geo_database import GeoDatabase
from gateway.admission.places import Visitor

if TYPE_CHECKING:
    from gateway.admission.client_address import Address
    from gateway.admission.edge_headers import HeaderLines
    from gateway.admission.geography_metrics import GeographyMetrics
    from gateway.admission.geography_settings import GeographySettings
    from gateway.admission.places import Place


class GeographyRefused(Exception):
    """A database that is required cannot be read; `mistakes` lists each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class Geography:
    """One a process. Reads its databases when it is made.

    Raises:
        GeographyRefused: one that is required cannot be read.
    """

    def __init__(self, settings: GeographySettings, metrics: GeographyMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._trusted = TrustedProxies(settings.trusted_proxies)
        self._databases = [GeoDatabase(path, settings.load, metrics) for path in settings.databases]
        mistakes = [
            f"geography.databases: {path}: {why}"
            for path, database in zip(settings.databases, self._databases, strict=True)
            if (why := database.refresh()) is not None
        ]
        if settings.required and mistakes:
            raise GeographyRefused(mistakes)

    def visitor(self, peer: str, lines: HeaderLines) -> Visitor:
        """Who is behind a connection.

        Args:
            peer: the address that is connected to us.
            lines: gives every value of a header, by its name in any case.
        """
        if not self._trusted and not self._databases:
            return Visitor(peer)
        address = address_of(peer)
        if address is None:
            return Visitor(peer)
        if address not in self._trusted:
            self._note_untrusted(lines)
            return self._visitor(address, None)
        header = self._settings.client_address_header
        client = client_behind(address, lines(header), self._trusted, header=header)
        return self._visitor(client, place_of_headers(lines, self._settings.edge_headers))

    async def run(self) -> None:
        """Look for changed files, until it is cancelled."""
        if not self._databases:
            return
        while True:
            await asyncio.sleep(self._settings.check_interval_ms / 1_000)
            for database in self._databases:
                await asyncio.to_thread(database.refresh)

    def _visitor(self, client: Address, told: Place | None) -> Visitor:
        place = self._place(client, told)
        self._metrics.places.labels("unknown" if place is None else place.source.value).inc()
        return Visitor(str(client), place)

    def _place(self, client: Address, told: Place | None) -> Place | None:
        """What the headers told, made finer by a database that agrees with them on the country."""
        if told is not None and told.location is not None:
            return told
        found = self._look_up(client)
        if told is None or found is None or found.country != told.country:
            return found if told is None else told
        return replace(found, source=told.source, subdivision=told.subdivision or found.subdivision)

    def _look_up(self, client: Address) -> Place | None:
        if not client.is_global:
            return None
        for database in self._databases:
            place = database.place_of(client)
            if place is not None:
                return place
        return None

    def _note_untrusted(self, lines: HeaderLines) -> None:
        settings = self._settings
        if any(lines(name) for name in (settings.client_address_header, *settings.edge_headers.names)):
            self._metrics.untrusted_headers.inc()
