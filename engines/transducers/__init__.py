"""Streaming transducers: what their files must say, whether they run, and greedy search over them."""
