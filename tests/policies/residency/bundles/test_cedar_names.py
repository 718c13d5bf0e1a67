"""Names of entities are written once."""

from __future__ import annotations

import pytest

from policies.residency.bundles.cedar_names import action_uid, generic_project, uid
from policies.residency.vocabulary import Action

pytestmark = pytest.mark.unit


def test_names_are_written_with_their_namespace() -> None:
    assert uid("Region", 'a"b') == {"type": "Asr::Region", "id": 'a"b'}
    assert action_uid(Action.process) == {"type": "Asr::Action", "id": "process"}


def test_the_project_of_a_profile_is_no_name_of_a_row() -> None:
    assert generic_project("eea") == "profile:eea"
    assert "/" not in generic_project("eea")
