"""A streaming CTC model that a Triton inference server runs: the state lies there, one sequence for each slot."""

from engines.backends.triton.backend import open_backend

__all__ = ["open_backend"]
