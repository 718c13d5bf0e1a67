"""Lists or a bundle, and approvers enough for the signatures that are asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.residency.settings import ResidencySettings

pytestmark = pytest.mark.unit

BUNDLE = {"bundle": "/etc/patchbay/policy"}
GRANTS = {"grants": {"key_file": "/etc/patchbay/grant.pem"}}
TWO = {"approvers": {"ada": "/etc/ada.pub", "grace": "/etc/grace.pub"}}


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({}, "leave the whole table out"),
        (BUNDLE, "0 cannot give required_signatures = 2"),
        (BUNDLE | TWO | {"required_signatures": 3}, "2 cannot give required_signatures = 3"),
        (BUNDLE | TWO | {"default": ["eu-west"]}, "not both"),
        (BUNDLE | {"approvers": {"a/b": "/x"}, "mode": "development"}, "cannot be a name"),
        ({"default": ["eu-west"]} | TWO, "approvers: without a bundle"),
        (BUNDLE | {"mode": "test"}, "production"),
        (GRANTS | {"mode": "production"}, "give profiles"),
    ],
)
def test_what_cannot_be_is_named(given: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        ResidencySettings.model_validate(given)


def test_production_needs_approvers_and_development_none() -> None:
    assert ResidencySettings.model_validate(BUNDLE | TWO).mode == "production"
    assert ResidencySettings.model_validate(BUNDLE | {"mode": "development"}).approvers == {}


def test_grants_alone_name_no_lists_and_restrict_nobody() -> None:
    settings = ResidencySettings.model_validate(GRANTS)
    assert not settings.has_lists
    assert ResidencySettings(default=("eu-west",)).has_lists
