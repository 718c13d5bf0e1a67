"""Makes placement grants: for one session, from what policy permits its caller, never from what placement chose.

See policies.residency.grant for what is in one and who checks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.logs import tenant_hash
from policies.residency.grant import MAX_BYTES, PlacementGrant, payload_of, regions_of, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.admission.policy_sets import PolicySet


class GrantKeyUnusable(Exception):
    """The message says why, without anything of the key."""


def load_grant_key(path: Path) -> Ed25519PrivateKey:
    """Raises GrantKeyUnusable: it cannot be read, or is no Ed25519 private key in PEM without a password."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise GrantKeyUnusable(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise GrantKeyUnusable(f"{path}: no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise GrantKeyUnusable(f"{path}: the key must be Ed25519")
    return key


class GrantIssuer:
    """One a gateway.

    Args:
        region: this one; relays compare it with the gateway's certificate.
        lifetime_s: how long a grant may be used to open a stream.
        now_s: Unix seconds, now.
    """

    def __init__(self, key: Ed25519PrivateKey, *, region: str, lifetime_s: int, now_s: Callable[[], float]) -> None:
        self._key = key
        self._region = region
        self.lifetime_s = lifetime_s
        self.now_s = now_s

    def of_session(self, session_id: str, tenant: str, policies: PolicySet) -> SessionGrant:
        return SessionGrant(self, session_id, tenant, policies)

    def issue(self, session_id: str, tenant: str, policies: PolicySet) -> bytes:
        """Sign what policy permits the session now; empty where that is too much for one grant, which nobody takes."""
        now_s = int(self.now_s())
        situation = policies.asked_about
        process, failover = regions_of(policies.permitted)
        payload = payload_of(
            PlacementGrant(
                session_id=session_id,
                tenant=tenant_hash(tenant),
                issuer=self._region,
                profile=situation.profile,
                project=situation.project,
                data_class=situation.data_class,
                subject_countries=tuple(sorted(situation.subject_countries)),
                has_consent=situation.has_consent,
                legal_basis=situation.legal_basis,
                process=process,
                failover=failover,
                is_restricted=policies.is_restricted,
                policy_digest=policies.digests.policy,
                issued_at_s=now_s,
                expires_at_s=now_s + self.lifetime_s,
            )
        )
        signature = self._key.sign(signed_bytes(payload))
        return payload + signature if len(payload) + len(signature) <= MAX_BYTES else b""


class SessionGrant:
    """Of one session: called for each stream that it opens. A grant is used for half of its life, then made anew."""

    __slots__ = ("_issuer", "_made", "_made_at_s", "_policies", "_session_id", "_tenant")

    def __init__(self, issuer: GrantIssuer, session_id: str, tenant: str, policies: PolicySet) -> None:
        self._issuer = issuer
        self._session_id = session_id
        self._tenant = tenant
        self._policies = policies
        self._made = b""
        self._made_at_s = 0.0

    def permit(self, policies: PolicySet) -> None:
        """Policy permits something else from here on."""
        self._policies = policies
        self._made = b""

    def __call__(self) -> bytes:
        age_s = self._issuer.now_s() - self._made_at_s
        if not self._made or not 0 <= age_s < self._issuer.lifetime_s / 2:
            self._made_at_s = self._issuer.now_s()
            self._made = self._issuer.issue(self._session_id, self._tenant, self._policies)
        return self._made
