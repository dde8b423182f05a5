"""The unfinished map on disk, and the journal from which a killed run resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from geoseg.core.atomic import atomic_file, raise_output_errors
from geoseg.inference.layers import ByteLayer

NAME = ".geoseg-work"
JOURNAL = "journal.json"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(slots=True)
class WorkFolder:
    """``OUT/.geoseg-work/STAGE``: raw layers written from the top, sums that the next rows need, and a journal.

    Only the journal states how far the work is. It is replaced atomically after the pixels and the carry that it
    describes are on the disk. Wherever a run was killed, the folder is in the state of its last ``commit``; rows
    beyond it are written again.

    Attributes:
        folder: The work folder.
        key: SHA-256 of everything that affects the result.
        shape: Rows and columns of every layer.
        layers: The layers by name.
        row: First unfinished row of blocks.
    """

    folder: Path
    key: str
    shape: tuple[int, int]
    layers: dict[str, ByteLayer]
    row: int = 0
    _carry_file: str | None = None
    _carry: dict[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, out: Path, key: str, shape: tuple[int, int], layers: Sequence[str], *, stage: str = "map") -> Self:
        """Resume the work in ``out``; start again where there is none, or it is damaged or of another map.

        Args:
            out: The output folder; made if missing.
            key: SHA-256 of everything that affects the result: request, scenes, model, versions.
            shape: Rows and columns.
            layers: Names of the layers.
            stage: Name of this stage, where a map needs several.

        Raises:
            OutputNotWritableError: The folder cannot be written, or the disk is full.
        """
        folder = out / NAME / stage
        return cls._resumed(folder, key, shape, layers) or cls._fresh(folder, key, shape, layers)

    @classmethod
    def _fresh(cls, folder: Path, key: str, shape: tuple[int, int], layers: Sequence[str]) -> Self:
        with raise_output_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        made = {name: ByteLayer.create(folder / f"{name}.raw", shape) for name in layers}
        return cls(folder, key, shape, made)

    @classmethod
    def _resumed(cls, folder: Path, key: str, shape: tuple[int, int], layers: Sequence[str]) -> Self | None:
        try:
            journal = json.loads((folder / JOURNAL).read_text(encoding="utf-8"))
            there = {name: ByteLayer(folder / f"{name}.raw", shape) for name in layers}
            same = journal["key"] == key and journal["shape"] == list(shape) and journal["layers"] == list(layers)
            if not same or any(layer.rows < int(journal["rows"][name]) for name, layer in there.items()):
                return None
            row, carry_file = int(journal["row"]), journal["carry"]
            carry = _load(folder / carry_file) if carry_file else {}
        except (OSError, ValueError, KeyError, TypeError, BadZipFile):
            return None  # no journal, or a damaged one: start again rather than risk a wrong map
        return cls(folder, key, shape, there, row, carry_file, carry)

    def carry(self) -> dict[str, NDArray[Any]]:
        """Arrays that the last ``commit`` saved for the rows that follow."""
        return dict(self._carry)

    def commit(self, row: int, carry: Arrays | None = None) -> None:
        """State that every row of blocks before ``row`` is final in every layer.

        Args:
            row: First row of blocks that is not final; the number of rows once all are.
            carry: Arrays that the following rows need, by name; no object arrays.

        Raises:
            OutputNotWritableError: The disk is full.
        """
        if row < self.row:
            raise ValueError(f"row {row} was committed after row {self.row}: rows are committed from the top")
        for layer in self.layers.values():
            layer.flush()
        carried = dict(carry or {})
        carry_file = f"carry-{row}.npz" if carried else None
        if carry_file:
            _save(self.folder / carry_file, carried)
        self._write_journal(row, carry_file)
        if self._carry_file and self._carry_file != carry_file:
            (self.folder / self._carry_file).unlink(missing_ok=True)
        self.row, self._carry_file, self._carry = row, carry_file, carried

    @staticmethod
    def discard(out: Path) -> None:
        """Remove all work in ``out``, once its products are written or a permanent error ended the run."""
        shutil.rmtree(out / NAME, ignore_errors=True)

    def _write_journal(self, row: int, carry_file: str | None) -> None:
        journal = {
            "key": self.key,
            "shape": list(self.shape),
            "layers": list(self.layers),
            "row": row,
            "rows": {name: layer.rows for name, layer in self.layers.items()},
            "carry": carry_file,
        }
        with atomic_file(self.folder / JOURNAL) as part:
            part.write_text(json.dumps(journal), encoding="utf-8")


def _save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
