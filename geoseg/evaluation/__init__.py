"""Judging models on labels: scores by name, held-out regions, tables and pictures."""
