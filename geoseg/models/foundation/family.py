"""What a family of encoders tells of itself: how it is built, and what its published files hold beside it.

Adding a family is one module with a ``FAMILY``, one record in ``data_catalog/encoders`` and one line in
:data:`geoseg.models.foundation.build.FAMILIES`. Layers that take low-rank adapters, and how published positions are
checked, are the encoder's own (:class:`geoseg.models.foundation.protocol.PatchEncoder`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from geoseg.errors import BadOptionError
from geoseg.models.foundation.positions import Policy
from geoseg.models.foundation.protocol import PatchEncoder

TASK_PARTS = r"(model\.)?(decoder|neck|head|aux_heads|criterion)\b"
"""What networks fine-tuned with terratorch hold beside the encoder."""


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder to build.

    Attributes:
        name: As people type it.
        size: Key of the family's table of sizes.
        bands: Number of bands.
        default_positions: Policy of the released weights.
        positions: Policy asked for; None: the default.
        norm_epsilon: LayerNorm's epsilon asked for; None: the family's own.
        default_epsilon: LayerNorm's epsilon of the released weights, where it is an option.
        depth: Fewer blocks than the size has, for trials.
    """

    name: str
    size: str
    bands: int
    default_positions: Policy
    positions: Policy | None = None
    norm_epsilon: float | None = None
    default_epsilon: float | None = None
    depth: int | None = None

    def refuse_epsilon(self) -> None:
        """Refuse a LayerNorm epsilon, for a family whose weights have one only.

        Raises:
            BadOptionError: One was asked for.
        """
        if self.norm_epsilon is not None:
            raise BadOptionError(
                f"norm_epsilon {self.norm_epsilon:g} is not an option of {self.name}: only Prithvi's weights differ in "
                "it. Leave it out."
            )

    def refuse_positions(self, why: str) -> None:
        """Refuse a policy of positions other than the default.

        Args:
            why: Verb phrase, for the message.

        Raises:
            BadOptionError: Another was asked for.
        """
        if self.positions not in {None, self.default_positions}:
            raise BadOptionError(
                f"positions {self.positions!r} is not an option of {self.name}: its positions {why}. Leave it out."
            )


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Tensors of a published file that are not part of the encoder and may be left out.

    Attributes:
        inside: Names after the prefix.
        outside: First parts of names that do not bear the prefix.
    """

    inside: re.Pattern[str]
    outside: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of encoders.

    Attributes:
        build: Builds an encoder with fresh weights.
        leftovers: What its files may hold beside it; anything else is an error that names it.
    """

    build: Callable[[EncoderSpec], PatchEncoder]
    leftovers: Leftovers
