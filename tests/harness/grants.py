"""Grant keys of regions in a folder, and placement grants as a gateway would sign them, right and wrong ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.residency.grant import PlacementGrant, payload_of, regions_of, signed_bytes
from policies.residency.permitted import Permitted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from policies.routing_facts import CapacityClass


class GrantKeys:
    """`folder`: as engines and relays are given it."""

    def __init__(self, folder: Path, *regions: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.keys: dict[str, Ed25519PrivateKey] = {}
        for region in regions:
            self.add(region)

    def add(self, region: str) -> None:
        """A new key, in place of the one that was there."""
        key = self.keys[region] = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.folder / f"{region}.pem").write_bytes(public)

    def remove(self, region: str) -> None:
        (self.folder / f"{region}.pem").unlink()

    def private_pem(self, region: str) -> bytes:
        return self.keys[region].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def grant(
        self,
        issuer: str,
        *regions: str,
        session_id: str = "s",
        classes: Mapping[str, frozenset[CapacityClass]] | None = None,
        **changes: object,
    ) -> bytes:
        """For these regions, from now on; `changes` go over its fields."""
        permitted = permitted_with(frozenset(regions), classes or {})
        process, failover = regions_of(permitted)
        now_s = int(time.time())
        grant = PlacementGrant(
            session_id=session_id,
            tenant="t",
            issuer=issuer,
            process=process,
            failover=failover,
            issued_at_s=now_s,
            expires_at_s=now_s + 60,
        )
        return self.signed(msgspec.structs.replace(grant, **changes))

    def signed(self, grant: PlacementGrant, *, by: str = "") -> bytes:
        """`by`: a region whose key signs it, whatever it says itself."""
        payload = payload_of(grant)
        return payload + self.keys[by or grant.issuer].sign(signed_bytes(payload))


def permitted_with(regions: frozenset[str], classes: Mapping[str, frozenset[CapacityClass]]) -> Permitted:
    return Permitted(regions, regions, regions, regions, classes)
