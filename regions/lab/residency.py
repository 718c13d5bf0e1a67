"""Residency of a lab by signed bundles: folders of its regions, two approvers, keys for grants, and what spoils them.

Every region's gateways read a folder of their own, so that one can be spoilt and the others not. Made anew for every
lab; nothing outside of it trusts the keys.
"""

from __future__ import annotations

import base64
import shutil
import time
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from policies.residency.bundles.manifest import files_digest
from regions.lab.fence import Fence, InForce, read_chosen, read_heard
from regions.lab.policy_bundle import bundle_files, first_policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from regions.lab.fence import Chosen, Heard
    from regions.lab.policy_bundle import LabPolicy
    from regions.lab.world_spec import WorldSpec

_APPROVERS = ("first", "second")
_SIGNED_PREFIX = b"patchbay policy bundle v1\n"
"""docs/residency.md, "What is signed"."""


class LabResidency:
    """Use it only for a world that has `residency`. `fence` grows with every bundle that is put in place."""

    def __init__(self, world: WorldSpec, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._keys = {name: Ed25519PrivateKey.generate() for name in _APPROVERS}
        self._stranger = Ed25519PrivateKey.generate()
        self.fence = Fence()
        self._written = 0
        self._before: dict[str, bytes] = {}
        self._files: dict[str, bytes] = {}
        spec = world.residency
        expires_in_s = 86_400.0 if spec is None else spec.expires_in_s
        self.policy = first_policy(world.region_names, world.profiles, now_s=time.time(), expires_in_s=expires_in_s)
        for name, key in self._keys.items():
            (folder / f"{name}.pem").write_bytes(_public_pem(key))
        self._grants = folder / "grant-keys"
        self._grants.mkdir()
        for region in world.region_names:
            key = Ed25519PrivateKey.generate()
            (folder / f"{region}.grant-key.pem").write_bytes(_private_pem(key))
            (folder / f"{region}.grant-key.pem").chmod(0o600)
            (self._grants / f"{region}.pem").write_bytes(_public_pem(key))
        self.put(self.policy)

    # --- what processes are told ------------------------------------------------------------------------------

    def gateway_settings(self, region: str, folder: Path) -> dict[str, Any]:
        """`folder`: of the gateway alone."""
        spec = self._world.residency
        residency: dict[str, Any] = {
            "bundle": str(self.place(region)),
            "mode": "production",
            "approvers": {name: str(self._folder / f"{name}.pem") for name in _APPROVERS},
            "required_signatures": len(_APPROVERS),
            "check_interval_ms": 200 if spec is None else spec.check_interval_ms,
            "last_good_directory": str(folder / "last-good"),
            "grants": {
                "key_file": str(self._folder / f"{region}.grant-key.pem"),
                "keys_directory": str(self._grants),
            },
        }
        return {"residency": residency, "decision_log": {"directory": str(folder / "decisions")}}

    def engine_arguments(self) -> list[str]:
        return ["--grant-keys", str(self._grants)]

    def engine_script(self, region: str, engine: str) -> list[str]:
        """That it writes down whose audio it took."""
        return [f"heard_file={self.heard_file(region, engine)}"]

    def heard_file(self, region: str, engine: str) -> Path:
        return self._folder / f"heard-{region}-{engine}.jsonl"

    def place(self, region: str) -> Path:
        """Of the region's bundle: a link to a folder, so that another takes its place in one moment."""
        return self._folder / f"policy-{region}"

    def heard(self) -> list[Heard]:
        """All that engines wrote down."""
        found: list[Heard] = []
        for path in sorted(self._folder.glob("heard-*.jsonl")):
            region = path.name.split("-")[1]
            found += read_heard(path.read_text(encoding="utf-8"), region)
        return found

    def chosen(self) -> list[Chosen]:
        """What the decision logs say; nothing where clocks were set: then nobody knows when it was."""
        if self._world.has_settable_clocks:
            return []
        logs = sorted(self._folder.parent.glob("*/gateway-*/decisions/*.jsonl"))
        return [each for path in logs for each in read_chosen(path.read_text(encoding="utf-8"))]

    # --- what befalls it -------------------------------------------------------------------------------------------

    def put(self, policy: LabPolicy) -> None:
        """In its place in every region, signed by both approvers."""
        self.policy = policy
        self._before, self._files = self._files, self._signed(bundle_files(policy))
        for region in self._world.region_names:
            self._put(region, self._files)
        self.fence.history.append(InForce(time.monotonic(), time.time(), policy))

    def spoil(self, region: str, how: str) -> None:
        """Make one region's folder unusable; what is in force stays."""
        files = dict(self._files)
        match how:
            case "torn":
                del files["regions.toml"]
                files["bundle.toml"] = files["bundle.toml"][:20]
            case "changed":
                files["rules/lab.cedar"] = files["rules/lab.cedar"].replace(b"forbid", b"permit")
            case "foreign":
                files["signatures/second.sig"] = _signature(files_digest(files), self._stranger)
            case "unsigned":
                del files["signatures/second.sig"]
            case "older":
                files = dict(self._before or self._files)
            case _:  # gone
                self.place(region).unlink()
                return
        self._put(region, files)

    def mend(self, region: str) -> None:
        self._put(region, self._files)

    def _signed(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        digest = files_digest(files)
        return {**files, **{f"signatures/{name}.sig": _signature(digest, key) for name, key in self._keys.items()}}

    def _put(self, region: str, files: Mapping[str, bytes]) -> None:
        place = self.place(region)
        old = place.resolve() if place.is_symlink() else None
        self._written += 1
        folder = self._folder / f"{place.name}.{self._written}"
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        fresh = place.with_suffix(".new")
        fresh.symlink_to(folder.name)
        fresh.replace(place)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _signature(digest: str, key: Ed25519PrivateKey) -> bytes:
    return base64.b64encode(key.sign(_SIGNED_PREFIX + digest.encode() + b"\n")) + b"\n"


def _public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
