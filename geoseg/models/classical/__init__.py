"""Baselines that need no weights, and that every network must beat. One file each."""
