"""Lists of regions that cannot be are refused at start, all mistakes at once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.admission.residency_settings import ProfileLists

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({}, "leave the whole table out"),
        ({"profiles": {"eu": []}}, "profiles.eu: no region is named"),
        ({"profiles": {"e u": ["eu-west"]}}, "'e u' cannot be a claim"),
        ({"profiles": {"eu": ["EU West"]}}, "profiles.eu: 'EU West' cannot be a region"),
        ({"default": ["-"]}, "default: '-' cannot be a region"),
        ({"defaults": ["eu-west"]}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        ProfileLists.model_validate(settings)


def test_every_mistake_is_told() -> None:
    with pytest.raises(ValidationError) as refused:
        ProfileLists.model_validate({"profiles": {"a": [], "b": ["!"]}, "default": ["?"]})
    told = str(refused.value)
    assert all(where in told for where in ("profiles.a", "profiles.b", "default"))


def test_profiles_need_no_default_and_a_default_no_profiles() -> None:
    assert ProfileLists(profiles={"eu": ("eu-west",)}).default == ()
    assert ProfileLists(default=("eu-west",)).profiles == {}
