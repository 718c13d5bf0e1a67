"""What can go wrong in an engine, and whether another replica can help."""

from __future__ import annotations

import pytest

from engines.errors import BackendFailed, EngineError, LinkMisused, ModelRejected, RuntimeMissing

pytestmark = pytest.mark.unit


def test_every_mistake_of_a_model_is_named() -> None:
    error = ModelRejected("/models/x", ["no tokens.txt", "window_size is missing"])
    assert error.mistakes == ["no tokens.txt", "window_size is missing"]
    assert str(error) == "/models/x: no tokens.txt; window_size is missing"


@pytest.mark.parametrize(
    ("kind", "is_resumable"),
    [
        (EngineError, False),
        (ModelRejected, False),
        (RuntimeMissing, False),
        (BackendFailed, True),
        (LinkMisused, False),
    ],
)
def test_only_a_failing_runtime_is_worth_another_replica(kind: type[EngineError], is_resumable: bool) -> None:
    assert kind.resumable is is_resumable
