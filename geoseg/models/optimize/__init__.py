"""Faster variants of a network that give the same answer."""
