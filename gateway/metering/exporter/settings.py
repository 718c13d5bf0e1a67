"""Settings of the exporter: where usage events go, how patient it is, and what it remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from gateway.metering.sinks.settings import AnySinkSettings

MS_PER_DAY = 24 * 3_600_000


class RetrySettings(BaseModel, frozen=True, extra="forbid"):
    """Doubling waits, each somewhere between half and the whole; a receiver's Retry-After goes before them."""

    first_ms: int = Field(default=500, gt=0, le=60_000)
    max_ms: int = Field(default=60_000, gt=0, le=3_600_000)
    max_age_ms: int = Field(default=20 * 3_600_000, gt=0, lt=MS_PER_DAY)
    """From the first attempt. Receivers forget ids after 24 h: a later attempt could count twice."""


class ExporterListenSettings(BaseModel, frozen=True, extra="forbid"):
    """Metrics, health and the webhooks of receivers. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8083, ge=0, le=65_535)


class ExporterSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """`python -m gateway.metering`."""

    sinks: tuple[AnySinkSettings, ...] = Field(min_length=1)
    state_directory: Path
    """The sent log. Exporters on one machine share it; it must survive the machine's restart."""
    source: str = Field(default="patchbay", min_length=1, max_length=256)
    """`source` of the CloudEvents; with the id it names an event, so it stays as it is."""
    listen: ExporterListenSettings = ExporterListenSettings()
    retry: RetrySettings = RetrySettings()
    poll_ms: int = Field(default=250, gt=0, le=10_000)
    """How long a stream that was empty is left alone."""
    survey_ms: int = Field(default=2_000, gt=0, le=60_000)
    """How often orgs, lag, other exporters and what can be trimmed are looked at."""
    dead_after_ms: int = Field(default=15_000, gt=0, le=600_000)
    """An exporter that was not heard of for so long is dead; its events are taken over."""
    remember_days: int = Field(default=40, ge=35, le=400)
    """For how long the sent log knows what was delivered; older events are not sent any more."""
    stop_ms: int = Field(default=10_000, gt=0, le=60_000)
    """How long requests under way may take after SIGTERM."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        names = [sink.name for sink in self.sinks]
        if len(set(names)) != len(names):
            raise ValueError("each sink needs a name of its own")
        if self.dead_after_ms < 2 * self.survey_ms:
            raise ValueError("dead_after_ms must be at least twice survey_ms: a live exporter is heard of so often")
        if self.retry.first_ms > self.retry.max_ms:
            raise ValueError("retry.first_ms must not exceed retry.max_ms")
        return self
