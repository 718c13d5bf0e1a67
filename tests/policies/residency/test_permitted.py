"""A region that is in no set is not used."""

from __future__ import annotations

import pytest

from policies.residency.permitted import Permitted
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit


def test_nothing_is_permitted_that_nobody_permitted() -> None:
    nothing = Permitted()
    assert nothing.recognising(goes_on=False) == nothing.recognising(goes_on=True) == frozenset()
    assert nothing.terminate == nothing.checkpoint == frozenset()


def test_a_session_that_goes_on_has_a_set_of_its_own() -> None:
    permitted = Permitted(process=frozenset({"a"}), failover=frozenset({"b"}))
    assert permitted.recognising(goes_on=False) == {"a"}
    assert permitted.recognising(goes_on=True) == {"b"}


def test_lists_of_regions_permit_everything_in_each_of_them() -> None:
    regions = frozenset({"a", "b"})
    permitted = Permitted.everywhere_in(regions)
    assert permitted.terminate == permitted.process == permitted.failover == permitted.checkpoint == regions
    assert permitted.classes_in("a") == frozenset(CapacityClass)


def test_a_region_that_is_named_has_the_classes_that_are_named() -> None:
    permitted = Permitted(classes={"a": frozenset({CapacityClass.reserved})})
    assert permitted.classes_in("a") == {CapacityClass.reserved}
    assert permitted.classes_in("b") == frozenset(CapacityClass)
