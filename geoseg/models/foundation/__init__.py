"""Geo-foundation encoders: chips and what is known about them in, maps of features out.

Built clean-room from the papers on torch and timm blocks; their parameters bear the names of the official checkpoints,
so that a checkpoint is matched key by key with nothing renamed in between.
"""
