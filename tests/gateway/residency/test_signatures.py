"""n of m approvers: each counts once, by his own key, under exactly these bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.residency.signatures import (
    KeyRefused,
    new_key,
    path_of,
    private_key_of,
    public_key_of,
    sign,
    signed_bytes,
    verified_by,
)
from tests.harness.residency_folder import Approvers

pytestmark = pytest.mark.unit

DIGEST = "ab" * 32
APPROVERS = Approvers("ada", "grace", "hedy")


def files(*names: str, digest: str = DIGEST) -> dict[str, bytes]:
    return {path_of(name): APPROVERS.signature(name, digest) for name in names}


def test_those_who_signed_are_named() -> None:
    assert verified_by(files("grace", "ada"), DIGEST, APPROVERS.public).by == ("ada", "grace")


def test_a_signature_under_other_bytes_counts_for_nothing() -> None:
    signed = verified_by(files("ada", digest="cd" * 32), DIGEST, APPROVERS.public)
    assert (signed.by, len(signed.problems)) == ((), 1)


def test_a_stranger_does_not_count_nor_does_a_name_for_another() -> None:
    strangers = Approvers("mallory")
    given_files = {
        path_of("mallory"): strangers.signature("mallory", DIGEST),
        path_of("ada"): APPROVERS.signature("grace", DIGEST),
        "signatures/ada.txt": b"yes",
    }
    signed = verified_by(given_files, DIGEST, APPROVERS.public)
    assert (signed.by, len(signed.problems)) == ((), 3)


def test_one_key_under_two_names_counts_once() -> None:
    key = APPROVERS.public["ada"]
    given_files = {path_of(name): APPROVERS.signature("ada", DIGEST) for name in ("ada", "bob")}
    signed = verified_by(given_files, DIGEST, {"ada": key, "bob": key})
    assert (signed.by, len(signed.problems)) == (("ada",), 1)


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_no_signature(content: bytes) -> None:
    assert verified_by({path_of("ada"): content}, DIGEST, APPROVERS.public).by == ()


def test_keys_are_read_back_and_others_refused() -> None:
    private, public = new_key()
    public_key_of(public).verify(_raw(sign(DIGEST, private_key_of(private))), signed_bytes(DIGEST))
    for read, wrong in ((private_key_of, public), (public_key_of, private), (public_key_of, b"")):
        with pytest.raises(KeyRefused):
            read(wrong)


def _raw(content: bytes) -> bytes:
    import base64

    return base64.b64decode(content)
