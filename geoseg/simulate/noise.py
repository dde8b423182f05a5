"""Fractal fields and hashed lattices: everything irregular in the simulated world, from one seed."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from geoseg.simulate.grid import Floats, Mask


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The random numbers of one purpose: adding another purpose does not change them."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def fractal(
    shape: tuple[int, int], rng: np.random.Generator, *, slope: float = 2.2, coarsest_px: float = 256
) -> Floats:
    """A Gaussian field whose power falls with frequency as f^-slope: hills, clouds, vigour.

    Args:
        shape: Rows and columns.
        rng: Where its randomness comes from.
        slope: 0 is white noise, 2 is rough, 4 is smooth.
        coarsest_px: Waves longer than this hold no more power than this one.

    Returns:
        float32 (rows, cols), mean 0, standard deviation 1.
    """
    from scipy import fft

    # twice the coarsest wave beyond the frame would be periodic within it otherwise: left and right edge alike
    size = [fft.next_fast_len(int(side + min(side, coarsest_px) / 2), real=True) for side in shape]
    white = rng.standard_normal(size, dtype=np.float32)
    row = fft.fftfreq(size[0]).astype(np.float32)[:, None]
    col = fft.rfftfreq(size[1]).astype(np.float32)[None, :]
    frequency = np.maximum(np.hypot(row, col), np.float32(1 / coarsest_px))
    field = fft.irfft2(fft.rfft2(white) * frequency ** np.float32(-slope / 2), s=size)[: shape[0], : shape[1]]
    field -= field.mean()
    return np.asarray(field / field.std(), dtype=np.float32)


def highest(field: Floats, share: float) -> Mask:
    """The pixels that hold the highest ``share`` (0..1) of values."""
    if share <= 0:
        return np.zeros(field.shape, dtype=np.bool_)
    return np.asarray(field > np.quantile(field, max(0.0, 1 - share)), dtype=np.bool_)


def hashed(seed: int, *keys: NDArray[np.integer]) -> Floats:
    """A number 0..1 for each combination of integer keys: the same wherever and however often it is asked for.

    Multiply-xorshift finaliser as of MurmurHash3 (Appleby 2011, public domain), folded over the keys.
    """
    state = np.full(np.broadcast_shapes(*(key.shape for key in keys)), seed & 0xFFFFFFFF, dtype=np.uint32)
    for key in keys:
        state = (state ^ key.astype(np.int64).astype(np.uint32)) * np.uint32(0x9E3779B1)
        state ^= state >> np.uint32(16)
        state *= np.uint32(0x85EBCA6B)
        state ^= state >> np.uint32(13)
        state *= np.uint32(0xC2B2AE35)
        state ^= state >> np.uint32(16)
    return (state >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def choice(uniform: Floats, weights: dict[str, float], codes: dict[str, int]) -> NDArray[np.uint8]:
    """Turn numbers 0..1 into codes, each as often as its weight says. uint8, same shape."""
    edges = np.cumsum(list(weights.values())) / sum(weights.values())
    table = np.array([codes[name] for name in weights], dtype=np.uint8)
    return np.asarray(table[np.minimum(np.searchsorted(edges, uniform, side="right"), len(table) - 1)])
