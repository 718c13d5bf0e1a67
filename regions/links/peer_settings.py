"""Settings of the links to other regions' relays."""

from __future__ import annotations

from regions.links.certificates import TlsFiles
from regions.links.settings import LinkSettings


class PeerLinkSettings(TlsFiles, frozen=True, extra="forbid"):
    """What this gateway shows to relays, and by whom theirs must be signed."""

    link: LinkSettings = LinkSettings()
