"""A file appears whole or not at all; an error keeps its meaning wherever it travels."""

from __future__ import annotations

import errno
import inspect
import os
import pickle

import pytest

from geoseg import errors
from geoseg.core.atomic import atomic_file, atomic_folder
from geoseg.errors import GeosegError, OutputNotWritableError, UnknownNameError


def test_a_file_that_fails_half_way_leaves_nothing(tmp_path):
    target = tmp_path / "mask.tif"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["mask.tif"]


def test_a_folder_is_replaced_at_once(tmp_path):
    target = tmp_path / "demo"
    for content in ("one", "two"):
        with atomic_folder(target) as part:
            (part / content).write_text(content)
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_full_disk_is_said_in_words(tmp_path):
    with pytest.raises(OutputNotWritableError, match="disk is full"), atomic_file(tmp_path / "mask.tif"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_target_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputNotWritableError, match="Choose another place"),
        atomic_file(tmp_path / "file" / "mask.tif"),
    ):
        pass


@pytest.mark.parametrize(
    "kind", [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, GeosegError)]
)
def test_errors_survive_the_trip_between_workers(kind):
    error = kind("one sentence, with what to do next.")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error) == "one sentence, with what to do next."
    assert kind.__name__ in (errors.__doc__ or "")


def test_an_unknown_name_offers_the_nearest():
    assert "Did you mean mndwi" in str(UnknownNameError.among("model", "mdnwi", ["mndwi", "otsu"]))
    assert "Known: mndwi, otsu" in str(UnknownNameError.among("model", "zzz", ["mndwi", "otsu"]))
