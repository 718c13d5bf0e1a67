"""A commit point is the same after Redis and after another region had it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resumption.interface import CommitPoint
from gateway.resumption.point_codec import arguments_of, decode_point, encode_point, point_of
from policies.residency.decision import Situation
from policies.residency.vocabulary import DataClass, LegalBasis
from regions.proto import region_pb2 as pb

pytestmark = pytest.mark.unit

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.integers(0, 2**53)
SITUATIONS = st.builds(
    Situation,
    TEXTS,
    TEXTS,
    st.sampled_from(DataClass),
    st.frozensets(st.sampled_from(["DE", "US", "CH"])),
    st.booleans(),
    st.sampled_from(LegalBasis),
)
POINTS = st.builds(
    CommitPoint,
    session_id=TEXTS,
    org=TEXTS,
    generation=NUMBERS,
    committed_sample=NUMBERS,
    charged_through_sample=NUMBERS,
    epoch=NUMBERS,
    model=TEXTS,
    model_version=TEXTS,
    tab_id=TEXTS,
    situation=st.none() | SITUATIONS,
)


@given(POINTS, NUMBERS)
def test_what_is_kept_is_read_with_the_generation_of_the_claim_and_without_the_situation(
    point: CommitPoint, generation: int
) -> None:
    _, _, data, _ = arguments_of(point, ttl_s=60)
    assert point_of(generation, data) == msgspec.structs.replace(point, generation=generation, situation=None)


@given(POINTS)
def test_what_a_region_tells_another_reads(point: CommitPoint) -> None:
    assert decode_point(pb.CommitPoint.FromString(encode_point(point).SerializeToString())) == point


def test_a_situation_in_words_that_are_not_known_here_is_nobodys() -> None:
    message = pb.CommitPoint(session_id="s", situation=pb.Situation(profile="eea", data_class="telepathy"))
    found = decode_point(message).situation
    assert found is not None
    assert found.profile == "?"


def test_an_older_gateway_tells_no_situation() -> None:
    assert decode_point(pb.CommitPoint(session_id="s")).situation is None


@given(st.binary(max_size=60))
def test_bytes_that_are_no_point_are_none(data: bytes) -> None:
    assert point_of(1, data) is None or isinstance(point_of(1, data), CommitPoint)
