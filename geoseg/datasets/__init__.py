"""Labelled imagery: pixels in physical units, and what a person says they show."""
