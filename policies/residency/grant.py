"""A placement grant: what the gateway that admitted a session says to relays and engines about where it may be. PURE.

It is made from the caller's policy set, never from what a router chose, so that a router that is wrong is stopped by
whoever it asks. It is signed by the gateway's region (gateway.residency.grants) over `signed_bytes`, and short-lived:
a stream must be opened before it expires. A stream that is open needs none: what may stay open is the gateway's to say.

On the wire: the payload, JSON with keys sorted, and 64 bytes of Ed25519 signature behind it. No audio, no words, no
address is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from policies.residency.decision import Situation
from policies.residency.vocabulary import DataClass, LegalBasis
from policies.routing_facts import ALL_CLASSES, CapacityClass

if TYPE_CHECKING:
    from policies.residency.permitted import Permitted

GRANT_VERSION = 1
SIGNATURE_BYTES = 64
MAX_BYTES = 32 * 1024
MAX_LIFETIME_S = 3_600
"""One that would be longer in force is refused, whoever signed it."""
LEEWAY_S = 30
"""How far the clocks of a gateway and of an engine may be apart."""
_PREFIX = b"patchbay placement grant\n"
"""Stands before what is signed: a signature of something else is none of a grant."""


class PlacementGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    session_id: the only session that it is good for.
    tenant: hash of the organisation.
    issuer: region of the gateway that ends the connection.
    process, failover: capacity classes by region, as in Permitted.
    is_restricted: the profile is one whose sessions must be on record.
    policy_digest: of the bundle that decided; empty: plain lists did.
    """

    v: int = GRANT_VERSION
    session_id: str
    tenant: str
    issuer: str
    profile: str = ""
    project: str = ""
    data_class: DataClass = DataClass.personal
    subject_countries: tuple[str, ...] = ()
    has_consent: bool = False
    legal_basis: LegalBasis = LegalBasis.unstated
    process: dict[str, tuple[CapacityClass, ...]] = {}
    failover: dict[str, tuple[CapacityClass, ...]] = {}
    is_restricted: bool = False
    policy_digest: str = ""
    issued_at_s: int
    expires_at_s: int

    @property
    def situation(self) -> Situation:
        """What whoever is asked may put to rules of its own."""
        return Situation(
            profile=self.profile,
            project=self.project,
            data_class=self.data_class,
            subject_countries=frozenset(self.subject_countries),
            has_consent=self.has_consent,
            legal_basis=self.legal_basis,
        )

    def classes_in(self, region: str, *, goes_on: bool) -> frozenset[CapacityClass]:
        """Machines of the region that it permits; none where it does not permit the region."""
        return frozenset((self.failover if goes_on else self.process).get(region, ()))


class SignedGrant(msgspec.Struct, frozen=True):
    """As it came; nobody has looked at the signature yet."""

    grant: PlacementGrant
    payload: bytes
    signature: bytes


def regions_of(
    permitted: Permitted,
) -> tuple[dict[str, tuple[CapacityClass, ...]], dict[str, tuple[CapacityClass, ...]]]:
    """`process` and `failover` of a grant for such a policy set."""
    return (
        {name: tuple(sorted(permitted.classes_in(name))) for name in sorted(permitted.process)},
        {name: tuple(sorted(permitted.classes_in(name))) for name in sorted(permitted.failover)},
    )


def payload_of(grant: PlacementGrant) -> bytes:
    """Canonical: the same grant is always the same bytes."""
    return msgspec.json.encode(grant, order="deterministic")


def signed_bytes(payload: bytes) -> bytes:
    """What the signature is of."""
    return _PREFIX + payload


def parse(data: bytes) -> SignedGrant | None:
    """None: these bytes are no grant of this version, or not the canonical ones."""
    if not SIGNATURE_BYTES < len(data) <= MAX_BYTES:
        return None
    payload, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
    try:
        grant = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if grant.v != GRANT_VERSION or payload_of(grant) != payload:
        return None
    return SignedGrant(grant, payload, signature)


def refusal_of(
    grant: PlacementGrant,
    *,
    region: str,
    capacity: CapacityClass | None,
    session_id: str,
    goes_on: bool,
    now_s: float,
    leeway_s: float = LEEWAY_S,
) -> str | None:
    """Why a grant with a good signature does not permit a stream here; None: it does. For logs, in a few words.

    Args:
        region: the one that asks itself.
        capacity: of its machine; None: not known, which is enough where the grant permits any, and else is not.
        goes_on: the session was on another engine before.
    """
    if grant.session_id != session_id:
        return "other_session"
    if not 0 < grant.expires_at_s - grant.issued_at_s <= MAX_LIFETIME_S:
        return "too_long"
    if now_s < grant.issued_at_s - leeway_s:
        return "not_yet"
    if now_s >= grant.expires_at_s + leeway_s:
        return "expired"
    classes = grant.classes_in(region, goes_on=goes_on)
    if not classes:
        return "other_region"
    if classes < ALL_CLASSES and capacity not in classes:
        return "other_capacity"
    return None


_DECODER = msgspec.json.Decoder(PlacementGrant)
