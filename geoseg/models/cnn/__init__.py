"""Convolutional networks, trained from scratch on any number of bands."""
