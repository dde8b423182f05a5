"""Losses that leave unlabelled pixels out and never divide by zero; :func:`.build.build_loss` makes one by name."""
