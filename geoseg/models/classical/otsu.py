"""Open water in SAR by a threshold that the scene itself decides, from the tiles that hold both water and land.

Two passes. The first cuts the scene into tiles, keeps those whose histogram holds two classes, and sums the kept
histograms; the second calls water what is darker than the boundary between the two classes of that sum. Tiles are kept
by Otsu's criterion (the between-class share of variance; Cao, Zhou and Li 2019, doi 10.3390/rs11070786, use it so) and
Ashman's D of a fitted mixture; the threshold is the minimum-error one of Kittler and Illingworth, which, unlike Otsu's,
does not move towards the larger class.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.baseline import Baseline, Floats
from geoseg.models.classical.bimodal import BINS, Mixture, histogram, otsu_split
from geoseg.models.classical.speckle import multilook

LEAST_SHARE = 0.1
"""Of either class in a tile that votes (Chini et al. 2017)."""

LEAST_BETWEEN = 0.7
"""Between-class share of the variance in a tile that votes; a single class has up to 0.64."""

LEAST_D = 2.0
"""Ashman's D of a tile that votes."""

LEAST_PX = 64 * 64
"""Observed pixels of a tile that is looked at."""

STEEPNESS = (0.5, 3.0)
"""Logits per dB lie within these, however narrow or wide the classes are; the first one also where none were found."""


@dataclass(frozen=True, slots=True)
class TileVotes:
    """What the tiles of part of a scene say. Integers, so that parts merge in any order to the same whole.

    Attributes:
        tiles: Tiles with enough observed pixels.
        voting: Those of them that hold two classes.
        counts: Pixels of the voting tiles per bin of backscatter.
    """

    tiles: int = 0
    voting: int = 0
    counts: tuple[int, ...] = (0,) * BINS

    def merge(self, other: TileVotes) -> TileVotes:
        """Both parts together."""
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return TileVotes(self.tiles + other.tiles, self.voting + other.voting, counts)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What was decided for a scene.

    Attributes:
        db: Water is darker.
        steepness: Logits per dB.
        origin: ``tiles``, or ``default`` where the scene could not decide.
        reason: Why, as a sentence.
        tiles: Tiles looked at, voting tiles.
    """

    db: float
    steepness: float
    origin: str
    reason: str
    tiles: tuple[int, int] = (0, 0)


class TiledOtsu(Baseline):
    """A backscatter threshold read off the scene's own bimodal tiles.

    Args:
        card: Names one band, in dB.
        plausible_db: A tile whose boundary lies outside tells something else apart than water and land.
        default_db: Threshold where no tile decides.
        look_px: Side of the square that speckle is averaged over.
        survey_px: Side of a tile.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        plausible_db: tuple[float, float],
        default_db: float,
        look_px: int = 5,
        statistics_tile_px: int = 128,
    ) -> None:
        super().__init__(card)
        self.plausible_db = (float(plausible_db[0]), float(plausible_db[1]))
        self.default_db = default_db
        self.look_px = look_px
        self.statistics_tile_px = statistics_tile_px
        self.threshold = Threshold(default_db, STEEPNESS[0], "default", "The scene has not been surveyed.")

    def array_logits(self, pixels: Floats) -> Floats:
        """See :class:`geoseg.models.protocol.ArrayModel`."""
        smooth = multilook(pixels[:, 0], self.look_px)
        smooth -= self.threshold.db
        smooth *= -self.threshold.steepness
        return smooth

    def scene_statistics(self, pixels: NDArray[np.float32]) -> TileVotes:
        """What the tiles of a block say; see :class:`geoseg.models.protocol.SceneAdaptive`."""
        tiles = _tiles(pixels[0], self.statistics_tile_px)
        if not len(tiles):
            return TileVotes()
        votes = [self._vote(histogram(tile)) for tile in multilook(tiles, self.look_px)]
        return reduce(TileVotes.merge, votes)

    def with_threshold(self, scene_statistics: TileVotes) -> TiledOtsu:
        """The same model with the threshold that the votes decide."""
        with_threshold = copy.copy(self)
        with_threshold.threshold = replace(
            self._decide(scene_statistics), tiles=(scene_statistics.tiles, scene_statistics.voting)
        )
        return with_threshold

    def scene_threshold_info(self) -> dict[str, Any]:
        """What was decided and from how much."""
        return {
            "threshold_db": round(self.threshold.db, 3),
            "threshold_from": self.threshold.origin,
            "reason": self.threshold.reason,
            "tiles": self.threshold.tiles[0],
            "bimodal_tiles": self.threshold.tiles[1],
            "tile_px": self.statistics_tile_px,
        }

    def _vote(self, counts: NDArray[np.int64]) -> TileVotes:
        if self._two_classes(counts) is None:
            return TileVotes(tiles=1)
        return TileVotes(tiles=1, voting=1, counts=tuple(counts.tolist()))

    def _two_classes(self, counts: NDArray[np.int64]) -> Mixture | None:
        """The water and the land of a histogram, or None where it does not hold both."""
        if otsu_split(counts)[1] < LEAST_BETWEEN:
            return None  # most tiles end here, before anything is fitted
        mixture = Mixture.fit(counts)
        if mixture is None or mixture.ashman_d < LEAST_D or min(mixture.shares) < LEAST_SHARE:
            return None
        low, high = self.plausible_db
        return mixture if low <= mixture.boundary_db <= high else None

    def _decide(self, votes: TileVotes) -> Threshold:
        if not votes.voting:
            looked = f"None of {votes.tiles} tiles holds both water and land" if votes.tiles else "No tile was observed"
            reason = f"{looked}; the published default counts."
            return Threshold(self.default_db, STEEPNESS[0], "default", reason)
        mixture = Mixture.fit(np.array(votes.counts, np.int64))
        if mixture is None or not self.plausible_db[0] <= mixture.boundary_db <= self.plausible_db[1]:
            reason = f"The {votes.voting} bimodal tiles disagree too much; the published default counts."
            return Threshold(self.default_db, STEEPNESS[0], "default", reason)
        boundary = mixture.boundary_db
        steepness = float(np.clip(mixture.log_odds_slope(boundary), *STEEPNESS))
        reason = f"{votes.voting} of {votes.tiles} tiles hold both water and land."
        return Threshold(boundary, steepness, "tiles", reason)


def _tiles(band: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The tiles of (y, x) with enough observed pixels, float32 (tile, side, side); NaN where one sticks out."""
    rows, columns = (-(-length // side) for length in band.shape)
    whole = np.full((rows * side, columns * side), np.nan, np.float32)
    whole[: band.shape[0], : band.shape[1]] = band
    tiles = whole.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    enough = np.isfinite(tiles).sum(axis=(1, 2)) >= LEAST_PX
    return np.ascontiguousarray(tiles[enough])
