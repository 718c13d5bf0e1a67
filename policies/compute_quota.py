"""The arithmetic of a compute bucket that knows what is held: the twin of gateway/limits/quota.lua, in Python.

A hold is taken before work and settled with the true cost after it. What is held counts against the burst, so
`balance + held <= burst` always. Then for every window of length t, wherever it begins:

    settled in the window <= burst + rate * t

as balance + held can only rise by the rate, falls by what is settled, and is never below zero while no slice costs more
than was held for it.
"""
