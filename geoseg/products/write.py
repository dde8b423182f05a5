"""Write the products of a map: all aside, then all into place, the run record last."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from geoseg.core.atomic import raise_output_errors
from geoseg.core.progress import Progress, Report
from geoseg.errors import OutputExistsError, OutputNotWritableError
from geoseg.inference.work_folder import NAME
from geoseg.products.map_data import MapData
from geoseg.products.raster import small_gdal_cache
from geoseg.products.run_record import RunRecord, read_run, with_hashes
from geoseg.products.table import PRODUCTS, RECORD


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that cannot take the products, before any work is done.

    Raises:
        OutputExistsError: Products are there, and ``overwrite`` is not set.
        OutputNotWritableError: A file is in the way, or the folder may not be written.
    """
    if out.exists() and not out.is_dir():
        raise OutputNotWritableError(f"{out} is a file. Choose a folder with --out.")
    there = [product.file for product in PRODUCTS if (out / product.file).exists()]
    if there and not overwrite:
        raise OutputExistsError(f"{out} holds {', '.join(there)} already. Choose another --out, or add --overwrite.")
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    # tried, not asked: a read-only disk, a file in the way and root's own rights make any answer worthless
    with raise_output_errors(out), tempfile.TemporaryFile(dir=nearest):
        pass


def write_products(data: MapData, out: Path, report: Report) -> RunRecord:
    """Write every product aside, then move all into place: a disk that fills up costs no earlier result.

    Returns:
        The run record, as it is on the disk.

    Raises:
        OutputNotWritableError: The disk is full, or the folder cannot be written.
    """
    with _staged(out) as part:
        report(Progress("write", 0, len(PRODUCTS), "files"))
        first = [product for product in PRODUCTS if product is not RECORD]
        with small_gdal_cache(), ThreadPoolExecutor(len(first) + 1, "write") as pool:
            scenes = pool.submit(with_hashes, data.scenes)
            jobs = {pool.submit(product.write, data, part): product for product in first}
            for done, job in enumerate(as_completed(jobs), start=1):
                report(Progress("write", done, len(PRODUCTS), "files", job.result().name))
            written = {product.name: part / product.file for product in first}
            RECORD.write(replace(data, scenes=scenes.result(), written=written), part)
    report(Progress("write", len(PRODUCTS), len(PRODUCTS), "files"))
    return read_run(out / RECORD.file)


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A folder whose files move to ``out`` when all are written, and vanish when they cannot be.

    The old run record goes first and the new one comes last, so that it never lies; names go before the raster.
    """
    part = out / NAME / "products"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with raise_output_errors(out):
            part.mkdir(parents=True)
        yield part
        with raise_output_errors(out):
            (out / RECORD.file).unlink(missing_ok=True)
            for path in sorted(part.iterdir(), key=lambda path: (path.name == RECORD.file, path.suffix != ".xml")):
                path.replace(out / path.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
