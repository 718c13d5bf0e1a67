"""From a folder to a bundle that may come into force, or every reason why it may not. Blocks; run it in a thread.

The order must stay: bytes, signatures, then what the bytes say. Nothing that is not approved is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.residency.bundle_folder import FolderRefused, read_folder
from gateway.residency.signatures import verified_by
from policies.residency.bundles.bundle import BundleRefused, files_digest, read_bundle
from policies.residency.bundles.instants import text_of
from policies.residency.deciding.engine import ResidencyEngine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from policies.residency.bundles.bundle import Bundle


class BundleUnusable(Exception):
    """What is in the folder may not come into force; `mistakes` lists each reason. `digest`: of what was read, as far
    as it could be. `comes_at_s`: when it may, as it was issued for later; 0: waiting does not help.
    """

    def __init__(self, mistakes: list[str], *, digest: str = "", comes_at_s: int = 0) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes
        self.digest = digest
        self.comes_at_s = comes_at_s


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose approval a bundle needs. `required` 0: nobody's, for development. `max_age_s` 0: its own expiry alone
    counts.
    """

    approvers: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)
    required: int = 0
    max_age_s: int = 0

    def ends_at_s(self, bundle: Bundle) -> int:
        """From when on it is in force no more."""
        if not self.max_age_s:
            return bundle.expires_at_s
        return min(bundle.expires_at_s, bundle.issued_at_s + self.max_age_s)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A bundle that may be in force at `engine`'s instant. `files`: as they were read; `signed_by`: approvers."""

    bundle: Bundle
    engine: ResidencyEngine
    files: Mapping[str, bytes]
    signed_by: tuple[str, ...]


def load(folder: Path, trust: Trust, *, now_s: float, not_before_s: int = 0) -> Loaded:
    """Read a bundle and make its engine for now.

    Args:
        not_before_s: when the bundle in force was issued: an older one does not take its place, as who can write the
            folder could bring back what was given up. 0: any.

    Raises:
        BundleUnusable: it may not come into force.
    """
    try:
        files = read_folder(folder)
        digest = files_digest(files)
    except (FolderRefused, BundleRefused) as refused:
        raise BundleUnusable(refused.mistakes) from None
    signed = verified_by(files, digest, trust.approvers)
    if len(signed.by) < trust.required:
        who = ", ".join(signed.by) or "nobody"
        raise BundleUnusable(
            [f"signatures: {trust.required} approvers must have signed it; approved by {who}", *signed.problems],
            digest=digest,
        )
    try:
        bundle = read_bundle(files, release_gil=True)
    except BundleRefused as refused:
        raise BundleUnusable(refused.mistakes, digest=digest) from None
    _check_dates(bundle, trust, now_s=now_s, not_before_s=not_before_s)
    return Loaded(bundle, ResidencyEngine(bundle, int(now_s), release_gil=True), files, signed.by)


def _check_dates(bundle: Bundle, trust: Trust, *, now_s: float, not_before_s: int) -> None:
    ends_at_s = trust.ends_at_s(bundle)
    if now_s >= ends_at_s:
        why = "expired" if ends_at_s == bundle.expires_at_s else "too old"
        raise BundleUnusable([f"bundle.toml: {why} since {text_of(ends_at_s)}"], digest=bundle.digest)
    if now_s < bundle.issued_at_s:
        raise BundleUnusable(
            [f"bundle.toml: issued for {text_of(bundle.issued_at_s)}, which is to come"],
            digest=bundle.digest,
            comes_at_s=bundle.issued_at_s,
        )
    if bundle.issued_at_s < not_before_s:
        raise BundleUnusable(
            [f"bundle.toml: issued at {text_of(bundle.issued_at_s)}, before the one in force; give it a new date"],
            digest=bundle.digest,
        )
