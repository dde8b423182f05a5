"""From a name and bands to an encoder, by what the catalogue says of it."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.catalog.cards import BEFORE
from geoseg.catalog.encoders import BandInput, EncoderFamily, encoder_facts
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import BadOptionError, BandMismatchError
from geoseg.models.foundation.positions import Policy
from geoseg.models.foundation.protocol import PatchEncoder


def build_encoder(
    name: str,
    *,
    bands: int,
    positions: Policy | None = None,
    norm_epsilon: float | None = None,
    depth: int | None = None,
) -> PatchEncoder:
    """An encoder with fresh weights.

    Args:
        name: As in ``data_catalog/encoders``.
        bands: Number of bands.
        positions: Off the pretraining's grid; None: as the catalogue says.
        norm_epsilon: LayerNorm's epsilon, where it is an option; None: as the catalogue says.
        depth: Fewer blocks than it has, for trials.

    Raises:
        UnknownNameError: No such encoder.
        BadOptionError: An option that this encoder has not.
    """
    family, variant = encoder_facts(name)
    policy: Policy = positions or family.positions
    if family.builder == "prithvi":
        from geoseg.models.foundation import prithvi

        epsilon = norm_epsilon or family.norm_epsilon or prithvi.HUB_EPSILON
        size = prithvi.SIZES[variant.size]
        return prithvi.Prithvi(size, bands=bands, positions=policy, norm_epsilon=epsilon, depth=depth)
    if norm_epsilon is not None:
        raise BadOptionError(
            f"norm_epsilon {norm_epsilon:g} is no option of {name}: only Prithvi's weights differ in it."
        )
    if positions not in {None, family.positions} and family.builder in {"clay", "dofa-v2"}:
        why = "are computed for every size" if family.builder == "clay" else "are learned and follow no formula"
        raise BadOptionError(f"positions {positions!r} is no option of {name}: its positions {why}.")
    if family.builder == "clay":
        from geoseg.models.foundation import clay

        return clay.Clay(clay.SIZES[variant.size], depth=depth)
    from geoseg.models.foundation import dofa

    if family.builder == "dofa":
        return dofa.Dofa(dofa.SIZES[variant.size], positions=policy, depth=depth)
    return dofa.DofaV2(dofa.V2_SIZES[variant.size], depth=depth)


def known_bands(name: str, sensor: str, bands: Sequence[str], *, radar: bool = False) -> tuple[BandInput, ...]:
    """What the encoder is to know about each band.

    Args:
        name: The encoder.
        sensor: Whose bands they are.
        bands: In order; ``before.`` marks the same band of imagery before the flood.
        radar: Give radar to an encoder that never saw any, on purpose.

    Returns:
        One per band. The wavelength is None only for radar that is given on purpose.

    Raises:
        BandMismatchError: A band that the sensor has not, or radar for an encoder that never saw any.
    """
    family, _ = encoder_facts(name)
    plain = [band.removeprefix(BEFORE) for band in bands]
    return tuple(_known(name, family, sensor, band, radar=radar) for band in plain)


def _known(name: str, family: EncoderFamily, sensor: str, band: str, *, radar: bool) -> BandInput:
    of_sensor = sensor_record(sensor).bands
    if band not in of_sensor:
        raise BandMismatchError(f"{sensor} has no band {band!r}. It has: {', '.join(of_sensor)}.")
    told = family.sensors[sensor].bands.get(band) if sensor in family.sensors else None
    told = told or BandInput()
    wavelength_um = told.wavelength_um or of_sensor[band].wavelength_um
    if wavelength_um is None and not (radar and family.bands):
        cure = "Add the option radar to give it the mean of its kernels." if family.bands else "Choose another encoder."
        raise BandMismatchError(f"{name} never saw {sensor}'s {band}, which is radar and has no wavelength. {cure}")
    return told.model_copy(update={"wavelength_um": wavelength_um})
