"""Inputs at random, with fixed seeds: ``python -m tests.fuzz.run --count N --seed S``."""
