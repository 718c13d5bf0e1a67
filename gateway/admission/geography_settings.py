"""Settings of geography: which proxies are believed, what they write, and which databases know where addresses are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from gateway.admission.client_address import TrustedProxies

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")


class EdgeHeaderSettings(BaseModel, frozen=True, extra="forbid"):
    """Names of the headers in which trusted proxies say where the client is; an empty one is not read.

    Name only headers that your proxies set on every request: one that they pass on is the client's.
    """

    country: str = ""
    """Two letters: `CloudFront-Viewer-Country`, `CF-IPCountry`, `X-AppEngine-Country`."""
    subdivision: str = ""
    """The second part of ISO 3166-2: `CloudFront-Viewer-Country-Region`."""
    latitude: str = ""
    longitude: str = ""
    latitude_longitude: str = ""
    """Both in one, with a comma: `X-AppEngine-CityLatLong`."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        wrong = [name for name in self.names if _HEADER_NAME.fullmatch(name) is None]
        if wrong:
            raise ValueError(f"these are no names of headers: {', '.join(map(repr, wrong))}")
        if bool(self.latitude) != bool(self.longitude):
            raise ValueError("latitude and longitude go together")
        if self.latitude and self.latitude_longitude:
            raise ValueError("give latitude and longitude, or latitude_longitude")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are read."""
        every = (self.country, self.subdivision, self.latitude, self.longitude, self.latitude_longitude)
        return tuple(name for name in every if name)


class GeographySettings(BaseModel, frozen=True, extra="forbid"):
    """Without any of it, whoever is connected is the client, and nobody is anywhere."""

    databases: tuple[Path, ...] = ()
    """Country or city databases in MaxMind's format; the first that knows an address answers."""
    required: bool = False
    """Refuse to start while one of them cannot be read. Otherwise it is told, and looked for again."""
    load: Literal["memory", "mapped"] = "memory"
    """`mapped` shares the file's pages among processes; such a file may only be replaced by renaming."""
    check_interval_ms: int = Field(default=60_000, ge=20, le=86_400_000)
    """How often the files are looked at for a change."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of the proxies in front of this gateway. Everybody else's word on addresses and places is ignored."""
    client_address_header: str = "X-Forwarded-For"
    """What they write the client's address into: this, `Forwarded` (RFC 7239), or one with a single address."""
    edge_headers: EdgeHeaderSettings = EdgeHeaderSettings()
    proxy_protocol: Literal["off", "required"] = "off"
    """`required`: every connection to the HTTP listener begins with a header of version 2, from a trusted proxy."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        TrustedProxies(networks)
        return networks

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if _HEADER_NAME.fullmatch(self.client_address_header) is None:
            raise ValueError("client_address_header is no name of a header")
        if self.proxy_protocol == "required" and not self.trusted_proxies:
            raise ValueError("proxy_protocol needs trusted_proxies: from whom may the header come?")
        if self.edge_headers.names and not self.trusted_proxies:
            raise ValueError("edge_headers need trusted_proxies: from whom may they come?")
        return self
