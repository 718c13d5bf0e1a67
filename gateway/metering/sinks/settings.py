"""The receivers of usage events, each with its own settings; `kind` says which one it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from policies.rating import Unit

_URL = r"^https?://[^/?#@]+(/[^?#]*)?$"


class SinkSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What every sink has."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    """Also the name of its consumer group: it stays while the sink stays."""
    region: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")
    """Where the receiver is, as the residency bundle names it. Required with a bundle; without one it means nothing."""
    batch_events: int = Field(default=100, gt=0, le=1_000)
    max_in_flight: int = Field(default=1_000, gt=0, le=100_000)
    """Events read and not acknowledged: what bounds memory while the receiver is down."""
    settle_ms: int = Field(default=0, ge=0, le=24 * 3_600_000)
    """From the receiver's yes to the acknowledgement: so long an error report is waited for."""


class _HttpSettings(SinkSettings, frozen=True):
    timeout_ms: int = Field(default=10_000, gt=0, le=120_000)
    """For one request; after it nobody knows whether the receiver has it, and it is sent again."""
    concurrent_requests: int = Field(default=2, gt=0, le=64)


class _BearerSettings(_HttpSettings, frozen=True):
    token: SecretStr | None = None
    token_file: Path | None = None
    """Read again after the receiver refused the token."""

    @model_validator(mode="after")
    def _has_one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file exclude each other")
        return self


class HttpSinkSettings(_BearerSettings, frozen=True):
    """Any receiver of CloudEvents."""

    kind: Literal["http"]
    url: str = Field(pattern=_URL)
    mode: Literal["batch", "single"] = "batch"
    """`single`: one event a request, for receivers that know no batches."""


class OpenMeterSettings(_BearerSettings, frozen=True):
    """OpenMeter, hosted or one's own."""

    kind: Literal["openmeter"]
    url: str = Field(pattern=_URL)
    """Without /api/v1/events."""


class StripeMeterSettings(BaseModel, frozen=True, extra="forbid"):
    """One meter of Stripe's: what of a usage event is counted by it."""

    event_name: str = Field(min_length=1, max_length=100)
    line: str = Field(default="rated", min_length=1, max_length=32)
    """`rated`: the quantity by the plan's rater; `compute_us`; or an add-on's name."""
    unit: Unit | None = None
    """Only quantities in this unit: plans with other raters need other meters."""


class StripeSettings(_HttpSettings, frozen=True):
    """What both of Stripe's interfaces need."""

    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    api_url: str = Field(default="https://api.stripe.com", pattern=_URL)
    meters: tuple[StripeMeterSettings, ...] = Field(min_length=1)
    customers: dict[str, str] = {}
    """Org to customer."""
    customers_file: Path | None = None
    """The same as a TOML table; read again when it changes."""
    customer_template: str | None = Field(default=None, pattern=r"\{org\}")
    """For orgs that stand in neither: `{org}` is replaced."""
    webhook_secret: SecretStr | None = None
    webhook_secret_file: Path | None = None
    """Error reports are accepted at /webhooks/stripe/NAME, signed with it."""
    webhook_tolerance_s: int = Field(default=300, gt=0, le=3_600)
    settle_ms: int = Field(default=600_000, ge=0, le=24 * 3_600_000)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.api_key is None) == (self.api_key_file is None):
            raise ValueError("one of api_key and api_key_file is needed")
        if self.webhook_secret is not None and self.webhook_secret_file is not None:
            raise ValueError("webhook_secret and webhook_secret_file exclude each other")
        if not self.customers and self.customers_file is None and self.customer_template is None:
            raise ValueError("customers, customers_file or customer_template must say who an org is")
        counted = [(meter.line, meter.unit) for meter in self.meters]
        if len(set(counted)) != len(counted) or any((line, None) in counted for line, unit in counted if unit):
            raise ValueError("each line is counted by one meter, or by one for each unit")
        return self


class StripeMeterEventsSettings(StripeSettings, frozen=True):
    """Stripe's meter events, version 1: one event a call."""

    kind: Literal["stripe_meter_events"]
    calls_per_s: int = Field(default=1_000, gt=0, le=1_000)
    """Of this exporter; Stripe allows an account 1,000 in all."""
    concurrent_requests: int = Field(default=1, gt=0, le=1)
    """Batches at once: one, as a customer's calls follow one another."""
    concurrent_customers: int = Field(default=16, gt=0, le=256)


class StripeEventStreamSettings(StripeSettings, frozen=True):
    """Stripe's meter event stream, version 2: up to 100 events a request."""

    kind: Literal["stripe_event_stream"]
    stream_url: str = Field(default="https://meter-events.stripe.com", pattern=_URL)
    batch_events: int = Field(default=50, gt=0, le=100)
    """Usage events; each counts once for every meter, and a request takes 100."""
    events_per_s: int = Field(default=10_000, gt=0, le=200_000)

    @model_validator(mode="after")
    def _fits_a_request(self) -> Self:
        if self.batch_events * len(self.meters) > 100:
            raise ValueError("batch_events times the number of meters must not exceed 100")
        return self


class JsonLinesSettings(SinkSettings, frozen=True):
    """Files of one CloudEvent a line, on this machine."""

    kind: Literal["json_lines"]
    directory: Path
    max_file_bytes: int = Field(default=256 * 1_048_576, ge=4_096)


AnySinkSettings = Annotated[
    HttpSinkSettings | OpenMeterSettings | StripeMeterEventsSettings | StripeEventStreamSettings | JsonLinesSettings,
    Field(discriminator="kind"),
]
