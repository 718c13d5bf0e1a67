"""A matrix says for every caller and region what the rules say, in one sign."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.review.matrix import MEANINGS, Mark, Matrix, MatrixAsked, MatrixCell, matrices
from policies.residency.vocabulary import Action, DataClass
from policies.routing_facts import CapacityClass
from tests.harness.residency_bundle import NOON_S, residency_files

pytestmark = pytest.mark.unit


def matrix(action: Action, asked: MatrixAsked, at_s: int = NOON_S) -> Matrix:
    (found,) = matrices(read_bundle(residency_files()), at_s=at_s, actions=[action], asked=[asked])
    return found


def marks(found: Matrix, who: str) -> dict[str, Mark]:
    return {region: cell.mark for (caller, region), cell in found.cells.items() if caller.name == who}


def test_every_sign_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Mark)


def test_who_is_recognised_where() -> None:
    found = matrix(Action.process, MatrixAsked())
    assert marks(found, "eea") == {
        "eu-central-1": Mark.yes,
        "eu-west-1": Mark.yes,
        "eu-sovereign-1": Mark.yes,
        "no-east-1": Mark.yes,
        "us-east-1": Mark.unpermitted,
        "us-west-1": Mark.unpermitted,
        "kp-1": Mark.no,
    }
    assert marks(found, "acme/one-region (eea)")["eu-west-1"] is Mark.no


def test_machines_and_speakers_that_make_a_difference_are_told() -> None:
    phi = matrix(Action.process, MatrixAsked(DataClass.phi))
    assert marks(phi, "us-health")["us-east-1"] is Mark.reserved
    spot = matrix(Action.process, MatrixAsked(DataClass.phi, capacity=CapacityClass.spot))
    assert marks(spot, "us-health")["us-east-1"] is Mark.no
    kept = matrix(Action.store_checkpoint, MatrixAsked())
    (cell,) = [cell for (who, region), cell in kept.cells.items() if (who.name, region) == ("global", "us-east-1")]
    assert isinstance(cell, MatrixCell)
    assert (cell.mark, [box["speaker"] for box in cell.allowed]) == (Mark.depends, [{"elsewhere (such as CH)"}])


def test_a_speaker_s_own_country_decides() -> None:
    for countries, expected in ((frozenset({"FR"}), Mark.no), (frozenset({"BR"}), Mark.yes)):
        found = matrix(Action.store_checkpoint, MatrixAsked(subject=countries))
        assert marks(found, "global")["us-east-1"] is expected
    unknown = matrix(Action.process, MatrixAsked(subject=frozenset()))
    assert marks(unknown, "eu-strict")["eu-west-1"] is Mark.no


def test_an_instant_outside_a_row_is_told() -> None:
    late_s = ResidencyEngine(read_bundle(residency_files()), NOON_S).until_s + 1
    assert marks(matrix(Action.process, MatrixAsked(), late_s), "global")["us-east-1"] is Mark.no
    gone = matrix(Action.process, MatrixAsked(), 1_830_300_000)  # 2028, when rows have ended
    assert set(marks(gone, "global").values()) == {Mark.unknown}


def test_one_project_may_be_asked_about_alone() -> None:
    found = matrix(Action.process, MatrixAsked(project="acme/no-aws"))
    assert [who.name for who in found.whos] == ["acme/no-aws (eea)"]
