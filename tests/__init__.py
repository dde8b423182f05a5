"""Tests of geoseg, one folder for each room of the package."""
