"""Choose between network and index by the level of a scene's reflectance: surface, or top of the atmosphere.

A network that learned from surface reflectance misses water at the top of the atmosphere (measured: IoU 0.44, an index
0.77), and nothing in its answer shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geoseg.catalog.cards import ModelCard, card
from geoseg.catalog.sensors import Sensor
from geoseg.core.scene import Scene

AT_TOP = "top-of-atmosphere"


def default_card(sensor: Sensor, scenes: Sequence[Scene], reads: Callable[[Scene, Sequence[str]], bool]) -> ModelCard:
    """Choose the model of a map for which no ``--model`` was given.

    Args:
        sensor: The sensor record.
        scenes: Every scene that the model would read, of the event and of the time before it.
        reads: Tells whether a scene has bands of these names.

    Returns:
        The sensor's own model; where it learned from surface reflectance and a scene is at the top of the atmosphere,
        the first of ``sensor.toa_models`` whose bands all scenes have (the last one where none has).
    """
    own = card(sensor.default_model)
    if own.reflectance != "surface" or not _at_top(scenes):
        return own
    indices = [card(name) for name in sensor.toa_models]
    fitting = [each for each in indices if all(reads(scene, each.bands) for scene in scenes)]
    return next(iter([*fitting, *indices[-1:]]), own)


def reflectance_warnings(sensor: Sensor, model: ModelCard, scenes: Sequence[Scene], *, named: bool) -> tuple[str, ...]:
    """Warn where the model and the scenes' level of reflectance may not fit.

    Args:
        sensor: The sensor record.
        model: The model of the map.
        scenes: Every scene that it reads.
        named: A person asked for the model by name.
    """
    if sensor.unit != "reflectance":
        return ()
    at_top, unknown = _at_top(scenes), [scene for scene in scenes if scene.reflectance == "unknown"]
    own = card(sensor.default_model)
    if at_top and not named and model.name != own.name:
        missed = f" {model.name}: {model.limits[0]}" if model.limits else ""
        return (
            f"{_which(at_top, scenes)} of {sensor.title} {_holds(at_top)} {AT_TOP} reflectance: mapped with "
            f"{model.name}, because {own.name} learned from surface reflectance. Use the surface reflectance product, "
            f"or ask for the network with --model {own.name}.{missed}",
        )
    if at_top and model.family != "classical" and model.reflectance != "toa":
        learned = "learned from" if model.reflectance else "may have learned from"
        indices = " or ".join(sensor.toa_models)
        return (
            f"{_which(at_top, scenes)} {_holds(at_top)} {AT_TOP} reflectance, and {model.name} {learned} surface "
            f"reflectance: water may be missed. Compare with --model {indices}.",
        )
    if unknown and model.reflectance is not None:
        other = "toa" if model.reflectance == "surface" else "surface"
        return (
            f"The level of the reflectance of {_which(unknown, scenes).lower()} is not stated; {model.name} learned "
            f"from {_LEVELS[model.reflectance]} reflectance. If it is {_LEVELS[other]}, compare with --model "
            f"{' or '.join(sensor.toa_models)}; state it with `geoseg catalog add --level surface` or `--level toa`.",
        )
    return ()


_LEVELS = {"surface": "surface", "toa": AT_TOP}


def _at_top(scenes: Sequence[Scene]) -> list[Scene]:
    return [scene for scene in scenes if scene.reflectance == "toa"]


def _which(some: Sequence[Scene], of: Sequence[Scene]) -> str:
    if len(of) == 1:
        return "The scene"
    return f"All {len(of)} scenes" if len(some) == len(of) else f"{len(some)} of {len(of)} scenes"


def _holds(some: Sequence[Scene]) -> str:
    return "holds" if len(some) == 1 else "hold"
