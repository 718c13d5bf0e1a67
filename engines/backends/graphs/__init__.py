"""Rewrites a model's ONNX graph at load, so that the runtime does the same work with less."""
