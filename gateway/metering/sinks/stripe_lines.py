"""What of a usage event Stripe's meters count, and for which customer.

An event's identifiers begin with its id, so that an error report leads back to it.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.metering.cloud_events import lines_of
from gateway.metering.sinks.interface import Outcome, Refused, TryAgain
from policies.rating import RECOGNITION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.entries import UsageEvent
    from gateway.metering.sinks.settings import StripeMeterSettings, StripeSettings

log = structlog.get_logger()
OLDEST_S = 35 * 86_400
NEWEST_S = 300
"""Timestamps outside are refused (API reference, meter events)."""
_ID_CHARS = 36
_AGAIN = re.compile(r"-r([1-9][0-9]{0,5})(?:-|\Z)", re.ASCII)
_RATED = "rated"
_COMPUTE = "compute_us"


@dataclass(frozen=True, slots=True)
class MeterLine:
    """One meter event. `value`: a whole number."""

    identifier: str
    meter: str
    customer: str
    value: int
    at_ms: int


def event_of(identifier: str) -> tuple[str, int]:
    """The usage event's id, and how often it had been reported when this was sent (Outgoing.identifier)."""
    again = _AGAIN.match(identifier[_ID_CHARS:])
    return identifier[:_ID_CHARS], int(again[1]) if again else 0


class StripeLines:
    """Makes meter events of usage events, or says why it cannot."""

    def __init__(self, settings: StripeSettings) -> None:
        self._meters = settings.meters
        self._customers = _Customers(settings)

    def of(self, event: UsageEvent, identifier: str, *, now_s: float) -> Sequence[MeterLine] | Outcome:
        """Lines of nothing are left out; without any line there is nothing to be billed."""
        at_s = event.at_ms / 1_000
        if at_s < now_s - OLDEST_S:
            return Refused("too_old", "Stripe takes no event that is older than 35 days")
        if at_s > now_s + NEWEST_S:
            return TryAgain("clock_ahead", int((at_s - now_s - NEWEST_S) * 1_000) + 1_000, is_of_sink=False)
        customer = self._customers.of(event.labels.org)
        if customer is None:
            return Refused("unmapped_org", f"no customer for org {event.labels.org}")
        counted = _counted(event, self._meters)
        if counted is None:
            return Refused("no_meter", f"no meter for quantities of rater {event.labels.rater}")
        return [
            MeterLine(
                identifier=identifier if meter.line == _RATED else f"{identifier}-{meter.line}",
                meter=meter.event_name,
                customer=customer,
                value=value,
                at_ms=event.at_ms,
            )
            for meter, value in counted
            if value
        ]


def _counted(
    event: UsageEvent, meters: Sequence[StripeMeterSettings]
) -> Sequence[tuple[StripeMeterSettings, int]] | None:
    """None: meters count what the rater says, but none in its unit."""
    lines = {line.item: line for line in lines_of(event)}
    found: list[tuple[StripeMeterSettings, int]] = []
    is_rated, has_rated = False, False
    for meter in meters:
        if meter.line == _COMPUTE:
            found.append((meter, event.compute_us))
            continue
        line = lines.get(RECOGNITION if meter.line == _RATED else meter.line)
        is_rated = is_rated or meter.line == _RATED
        if line is not None and meter.unit in (None, line.unit):
            found.append((meter, line.quantity))
            has_rated = has_rated or meter.line == _RATED
    return None if is_rated and not has_rated else found


class _Customers:
    """Who an org is at Stripe: from the settings, a file that is read again when it changes, or a template."""

    def __init__(self, settings: StripeSettings) -> None:
        self._given = settings.customers
        self._file = settings.customers_file
        self._template = settings.customer_template
        self._changed_ns = -1
        self._read: dict[str, str] = {}

    def of(self, org: str) -> str | None:
        self._look_at_file()
        found = self._given.get(org) or self._read.get(org)
        if found is None and self._template is not None:
            return self._template.replace("{org}", org)
        return found

    def _look_at_file(self) -> None:
        """A file that cannot be read leaves what was read before."""
        if self._file is None:
            return
        try:
            changed_ns = self._file.stat().st_mtime_ns
            if changed_ns == self._changed_ns:
                return
            self._changed_ns = changed_ns
            table = tomllib.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            log.error("exporter.customers_unreadable", kind=type(error).__name__)
            return
        self._read = {org: customer for org, customer in table.items() if isinstance(customer, str)}
