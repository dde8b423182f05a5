"""An official checkpoint into an encoder: every tensor by name and shape, or an error that names the first fault."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from geoseg.catalog.encoders import EncoderFamily, Variant, encoder_facts
from geoseg.core.hashing import file_sha256
from geoseg.errors import CheckpointMismatchError
from geoseg.models.checkpoints.bands import BandKernel, adapted
from geoseg.models.checkpoints.layouts import best_prefix, left_out, unknown_names
from geoseg.models.checkpoints.reading import read_weights
from geoseg.models.foundation.build import EncoderInput, band_inputs, family_of
from geoseg.models.foundation.protocol import PatchEncoder
from geoseg.models.tensors import dtype_mismatches, find_invalid_tensor

logger = logging.getLogger(__name__)

PATCH_KERNEL = "patch_embed.proj.weight"
POSITIONS = "pos_embed"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded from where; ``str()`` of it is what a person reads.

    Attributes:
        name: The encoder.
        file: Name of the file.
        sha256: Its hash.
        hash_known: The catalogue knows this hash. False: it knows none, or another file of the same weights.
        prefix: What stood before the encoder's names.
        matched: Tensors loaded.
        total: Tensors that the encoder has. Always ``matched``: anything less is an error.
        parameters: Numbers loaded.
        left_out: Tensors left out, by part of the file.
        notes: What a person should know: bands that took another's kernel, a hash that could not be checked.
    """

    name: str
    file: str
    sha256: str
    hash_known: bool
    prefix: str
    matched: int
    total: int
    parameters: int
    left_out: dict[str, int]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        rest = ", ".join(f"{part} ({count})" for part, count in sorted(self.left_out.items())) or "nothing"
        lines = [
            f"{self.name}: {self.matched} of {self.total} tensors ({self.parameters / 1e6:.2f}M) from {self.file}",
            f"  sha256 {self.sha256} ({'as published' if self.hash_known else 'not in the catalogue'})",
            f"  layout {self.prefix or '(plain) '}*; left out: {rest}",
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def load_encoder(encoder: PatchEncoder, name: str, path: Path, given: EncoderInput) -> LoadReport:
    """Load an official checkpoint, or one in an official layout.

    Args:
        encoder: As built for ``name`` and the number of bands; may be on the meta device.
        name: As in ``data_catalog/encoders``.
        path: The file.
        given: Sensor and bands that the encoder reads.

    Raises:
        WeightsMissingError: No such file.
        CheckpointMismatchError: A tensor is missing, unexpected, of another shape or another kind of number, or holds
            NaN or infinity; the file is of a refused release; it holds more than weights.
    """
    family, variant = encoder_facts(name)
    digest = file_sha256(path) if path.is_file() else ""
    notes = _judged(variant, path, digest)
    weights = read_weights(path)
    wanted = encoder.state_dict()
    prefix = _matched_names(name, path, family, weights, wanted)
    chosen = {key: weights[prefix + key] for key in wanted}
    _check_numbers(path, chosen, wanted)
    if family.bands:
        notes += _fit_bands(chosen, name, given)
    if fault := encoder.positions_fault(weights.get(prefix + POSITIONS)):
        raise CheckpointMismatchError(f"The positions in {path.name} {fault}.")
    _check_shapes(name, path, chosen, wanted)
    _assign(encoder, chosen)
    report = LoadReport(
        name=name,
        file=path.name,
        sha256=digest,
        hash_known=_published(variant, digest),
        prefix=prefix,
        matched=len(chosen),
        total=len(wanted),
        parameters=sum(tensor.numel() for tensor in chosen.values()),
        left_out=left_out(weights, prefix, wanted),
        notes=tuple(notes),
    )
    for note in notes:
        logger.warning("%s: %s", name, note)
    return report


def _judged(variant: Variant, path: Path, digest: str) -> list[str]:
    for start, reason in variant.refused.items():
        if digest.startswith(start):
            raise CheckpointMismatchError(f"{path.name} (sha256 {start}...) is refused: {reason}. Fetch the new file.")
    if variant.refused and not _published(variant, digest):
        return [f"The release of {path.name} could not be told: its sha256 is not in the catalogue."]
    return []


def _published(variant: Variant, digest: str) -> bool:
    files = [variant.file, *variant.mirrors] if variant.file else []
    return any(file is not None and file.sha256 is not None and digest.startswith(file.sha256) for file in files)


def _matched_names(
    name: str, path: Path, family: EncoderFamily, weights: dict[str, Tensor], wanted: dict[str, Tensor]
) -> str:
    prefix = best_prefix(weights, wanted)
    missing = [prefix + key for key in wanted if prefix + key not in weights]
    unknown = unknown_names(weights, prefix, wanted, family_of(family.builder).leftovers)
    if missing or unknown:
        faults = [f"{len(missing)} tensors are missing, the first is {missing[0]}"] if missing else []
        faults += [f"{len(unknown)} are unknown, the first is {unknown[0]}"] if unknown else []
        raise CheckpointMismatchError(
            f"{path.name} is not {name}: of {len(wanted)} tensors, {'; '.join(faults)}. Give the file of this encoder."
        )
    return prefix


def _fit_bands(chosen: dict[str, Tensor], name: str, given: EncoderInput) -> list[str]:
    family, _ = encoder_facts(name)
    wavelengths = family.sensors["s2"].bands
    known = [BandKernel(band, wavelengths[band].wavelength_um) for band in family.bands or ()]
    kernel = chosen[PATCH_KERNEL]
    if kernel.shape[1] != len(known):
        return []  # fine-tuned on other bands: the shape check decides
    inputs = band_inputs(name, given)
    wanted = [BandKernel(band, one.wavelength_um) for band, one in zip(given.bands, inputs, strict=True)]
    chosen[PATCH_KERNEL], notes = adapted(kernel, known, wanted)
    return notes


def _check_numbers(path: Path, chosen: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Every tensor of the kind of number that the encoder has there, and none that nothing can be computed with."""
    if recast := dtype_mismatches(wanted, chosen):
        raise CheckpointMismatchError(
            f"{path.name}: {len(recast)} tensors are of another kind of number, the first is {recast[0]}. "
            "Fetch it again."
        )
    if fault := find_invalid_tensor(chosen):
        raise CheckpointMismatchError(f"{path.name}: {fault}. Fetch it again.")


def _check_shapes(name: str, path: Path, chosen: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for key, tensor in wanted.items():
        if chosen[key].shape != tensor.shape:
            raise CheckpointMismatchError(
                f"{path.name} is not {name} as it was built: {key} is {tuple(chosen[key].shape)}, "
                f"the network's is {tuple(tensor.shape)}."
            )


def _assign(encoder: nn.Module, chosen: dict[str, Tensor]) -> None:
    """Copy, or hand over where the encoder has no memory of its own yet (the meta device)."""
    empty = any(tensor.is_meta for tensor in encoder.state_dict().values())
    floats = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in chosen.items()}
    encoder.load_state_dict(floats, strict=True, assign=empty)
