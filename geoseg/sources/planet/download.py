"""A Planet scene's files, activated and downloaded into the cache: an order folder as `geoseg catalog add` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoseg.catalog.collections import PlanetData, collection
from geoseg.core.atomic import atomic_file, cache_folder
from geoseg.core.progress import Progress, Report, silent
from geoseg.core.scene import Scene
from geoseg.errors import MissingCredentialsError, SceneUnreadableError
from geoseg.sources.planet.session import planet_data_api

IMAGES = (("ortho_analytic_8b_sr",), ("ortho_analytic_4b_sr",), ("ortho_analytic_4b", "ortho_analytic_4b_xml"))
"""What is downloaded, the best first: surface reflectance, else radiance with the metadata that calibrates it."""

MASK = "ortho_udm2"
POLL_S, MOST_POLLS = 5, 180
"""Activation takes minutes; after a quarter of an hour something is wrong."""


def download_scene(scene: Scene, *, report: Report = silent, poll_s: int = POLL_S) -> Path:
    """Activate and download what a map reads of a Planet scene: image, metadata where it is radiance, and UDM2.

    A file that is there already is not downloaded again. Each appears whole.

    Args:
        scene: Found by ``find_scenes`` in the catalogue ``planet``.
        report: Told of every file.
        poll_s: Seconds between looks at an activation.

    Returns:
        The folder with the files, to be given to `geoseg catalog add`.

    Raises:
        MissingCredentialsError: No key, or one that may download none of it.
        SceneUnreadableError: An asset did not become active, or is not there.
        SearchFailedError: Planet did not answer as expected.
    """
    source = collection(scene.collection).source
    if not isinstance(source, PlanetData):
        raise SceneUnreadableError(f"Scene {scene.id} of {scene.collection} is none of Planet's Data API.")
    folder = cache_folder("planet", scene.id)
    wanted = wanted_assets(scene)
    with planet_data_api(source.url) as planet:
        there: dict[str, Any] = planet.list_item_assets(source.item_type, scene.id)
        if missing := [name for name in wanted if name not in there]:
            raise SceneUnreadableError(f"Planet has no {missing[0]} of scene {scene.id}.")
        for name in wanted:
            planet.activate_asset(there[name])  # all at once: Planet prepares them side by side
        for done, name in enumerate(wanted):
            report(Progress("download", done, len(wanted), "file", f"{scene.id} {name}"))
            _fetch(planet, there[name], folder / _file_name(scene.id, name), poll_s)
    report(Progress("download", len(wanted), len(wanted), "file", scene.id))
    return folder


def wanted_assets(scene: Scene) -> Sequence[str]:
    """Names of the assets to download, of those the account may.

    Raises:
        MissingCredentialsError: It may download no image that can be calibrated.
    """
    may = set(scene.item.get("properties", {}).get("pl:downloadable", ()))
    image = next((names for names in IMAGES if may.issuperset(names)), None)
    if image is None:
        raise MissingCredentialsError(
            f"This Planet account may not download scene {scene.id} as {' or '.join(names[0] for names in IMAGES)}."
        )
    return (*image, MASK) if MASK in may else image


def _file_name(scene_id: str, asset: str) -> str:
    """Planet's own name of a file, by which `geoseg catalog add` knows an order."""
    names = {
        "ortho_analytic_8b_sr": "3B_AnalyticMS_SR_8b.tif",
        "ortho_analytic_4b_sr": "3B_AnalyticMS_SR.tif",
        "ortho_analytic_4b": "3B_AnalyticMS.tif",
        "ortho_analytic_4b_xml": "3B_AnalyticMS_metadata.xml",
        MASK: "3B_udm2.tif",
    }
    return f"{scene_id}_{names[asset]}"


def _fetch(planet: Any, asset: dict[str, Any], target: Path, poll_s: int) -> None:
    from planet.exceptions import ClientError

    if target.exists():
        return
    try:
        active = planet.wait_asset(asset, delay=poll_s, max_attempts=MOST_POLLS)
        with atomic_file(target) as part:
            planet.download_asset(active, filename=part.name, directory=part.parent, overwrite=True, progress_bar=False)
    except ClientError:
        # its text may hold the signed address
        raise SceneUnreadableError(
            f"{target.name} was not ready in {poll_s * MOST_POLLS // 60} minutes, or has no file. Run it again later."
        ) from None
