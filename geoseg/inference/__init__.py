"""Runs the blocks of a plan: on this machine, or on a dask.distributed cluster, with the same bytes as the answer."""
