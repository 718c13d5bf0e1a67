"""A region's metrics page, read as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.harness.region import Region


class Figures:
    """One scrape. A figure is asked for by its sample's name and the labels that matter; several add up, none is 0."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self._samples = [sample for family in families for sample in family.samples]
        self.names = {sample.name for sample in self._samples}
        """Of samples; a family whose labels nobody has used yet is there as well."""
        self.names |= {family.name + ("_total" if family.type == "counter" else "") for family in families}

    def __call__(self, name: str, **labels: str) -> float:
        """Raises AssertionError when the page has no such sample."""
        values = [
            sample.value
            for sample in self._samples
            if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items())
        ]
        assert values or name in self.names, f"the metrics page has no {name}"
        return sum(values)

    @property
    def label_values(self) -> set[str]:
        return {value for sample in self._samples for value in sample.labels.values()}


async def scrape(region: Region) -> Figures:
    async with aiohttp.ClientSession() as http, http.get(region.metrics) as response:
        assert response.status == 200
        return Figures(await response.text())


async def slots_used(region: Region) -> int:
    """By the engines' own load reports, all replicas together."""
    return int((await scrape(region))("patchbay_engine_slots_used"))


async def has_no_sessions(region: Region) -> bool:
    """Whether the gateway holds no session and its engines no slot."""
    figures = await scrape(region)
    return figures("patchbay_sessions") == 0 and figures("patchbay_engine_slots_used") == 0
