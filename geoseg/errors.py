"""Every error geoseg raises on purpose.

::

    GeosegError
    ├── UsageError (ValueError)                    the request itself is wrong: the command exits 2
    │   ├── BadAreaError                           a box or an AOI file that is no area on Earth
    │   ├── BadDateError                           a date that is malformed or in the future
    │   ├── BadOptionError                         an option, or a configuration file, that cannot be
    │   └── UnknownNameError (LookupError)         a sensor, model, catalogue... that does not exist
    ├── AreaTooLargeError (ValueError)             right, but bigger than one would do by accident
    ├── CatalogError                               what we know about imagery, or where it is
    │   ├── BadRecordError (ValueError)            a YAML fact file that does not hold
    │   ├── NoScenesError (LookupError)            a search matched nothing
    │   ├── SearchFailedError (ConnectionError)    a catalogue did not answer as a catalogue does
    │   ├── UnsafeHrefError (ValueError)           metadata that points where it must not
    │   └── NotIngestibleError (ValueError)        a person's file that cannot become a STAC item
    ├── ReadError                                  pixels
    │   ├── RadiometryUnknownError (ValueError)    the unit of the numbers cannot be decided
    │   ├── MissingBandError (LookupError)         a scene lacks a band that was asked for
    │   ├── MissingCredentialsError (PermissionError)
    │   └── SceneUnreadableError (OSError)         one scene's file is dead, truncated or absurd
    ├── ModelError
    │   ├── BundleError (ValueError)               a bundle whose parts do not fit together
    │   ├── CheckpointMismatchError (ValueError)   weights that are not this network's
    │   ├── WeightsMissingError (FileNotFoundError)
    │   ├── BandMismatchError (ValueError)         bands that this network does not know
    │   └── InputRangeError (ValueError)           pixels that are not in the unit they should be
    ├── TrainingError
    │   ├── BadLabelsError (ValueError)            labels that do not fit their images, or their classes
    │   ├── NotTrainableError (ValueError)         labels that nothing can be learned from
    │   └── ResumeError (ValueError)               a run that was started with something else
    ├── OutputError
    │   ├── OutputExistsError (FileExistsError)
    │   └── OutputNotWritableError (OSError)       read-only folder, full disk
    └── EngineError (RuntimeError)                 a block that could not be computed anywhere

Every message is one sentence or two: what, the value seen, what to do next. Every error survives pickling
(``args`` holds the message and nothing else), because it may be raised in a dask worker.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GeosegError(Exception):
    """Base of every deliberate error."""

    def __str__(self) -> str:
        """The message alone, also where a builtin parent (OSError, LookupError) would decorate it."""
        return str(self.args[0]) if self.args else type(self).__name__


class UsageError(GeosegError, ValueError):
    """The request itself is wrong; the command exits 2."""


class BadAreaError(UsageError):
    """A box or an AOI that is no area on Earth."""


class BadDateError(UsageError):
    """A date that is malformed or lies in the future."""


class BadOptionError(UsageError):
    """An option, or a key of a configuration file, that cannot be."""


class UnknownNameError(UsageError, LookupError):
    """A name that does not exist."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """``name`` is no ``kind``; offer the nearest of ``known``, or all of them where none is near."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
        return cls(f"There is no {kind} named {name!r}. {hint}")


class AreaTooLargeError(GeosegError, ValueError):
    """A map larger than one would ask for by accident."""

    @classmethod
    def over_limit(cls, megapixels: float, limit: float) -> AreaTooLargeError:
        """The output would hold ``megapixels`` where ``limit`` is the most without saying yes."""
        return cls(
            f"This area is about {megapixels:,.0f} megapixels, over the limit of {limit:,.0f}. "
            "Choose a smaller area, a coarser --resolution, or add --yes."
        )


class CatalogError(GeosegError):
    """Something about imagery, or where it is, does not hold."""


class BadRecordError(CatalogError, ValueError):
    """A YAML record of ``data_catalog/`` does not hold."""


class NoScenesError(CatalogError, LookupError):
    """A search matched nothing."""


class SearchFailedError(CatalogError, ConnectionError):
    """A catalogue could not be asked, or answered with something that is no STAC."""


class UnsafeHrefError(CatalogError, ValueError):
    """Metadata points to a place it has no business pointing to."""


class NotIngestibleError(CatalogError, ValueError):
    """A person's file cannot become a STAC item."""


class ReadError(GeosegError):
    """Pixels could not be had as physical quantities."""


class RadiometryUnknownError(ReadError, ValueError):
    """The unit of a product's numbers cannot be decided from what its metadata says."""


class MissingBandError(ReadError, LookupError):
    """A scene lacks a band that was asked for."""


class MissingCredentialsError(ReadError, PermissionError):
    """A catalogue wants credentials that the environment does not hold."""


class SceneUnreadableError(ReadError, OSError):
    """One scene's file is dead, truncated or absurd."""


class ModelError(GeosegError):
    """A model cannot be had, or cannot be used like this."""


class BundleError(ModelError, ValueError):
    """A model folder whose parts do not fit together."""


class CheckpointMismatchError(ModelError, ValueError):
    """Weights that do not belong to this network."""


class WeightsMissingError(ModelError, FileNotFoundError):
    """A network is known, its weights are not here."""


class BandMismatchError(ModelError, ValueError):
    """Bands that are not the ones this network reads."""


class InputRangeError(ModelError, ValueError):
    """Pixels outside what their unit can hold: digital numbers where reflectance is due, linear power for dB."""


class TrainingError(GeosegError):
    """Learning or judging cannot go on."""


class BadLabelsError(TrainingError, ValueError):
    """Labels that do not fit their images, or values that no class has."""


class NotTrainableError(TrainingError, ValueError):
    """Labels that nothing can be learned from."""


class ResumeError(TrainingError, ValueError):
    """A run to be resumed was started with another model, recipe or data."""


class OutputError(GeosegError):
    """A product could not be written."""


class OutputExistsError(OutputError, FileExistsError):
    """The output is there already and nobody said to replace it."""


class OutputNotWritableError(OutputError, OSError):
    """The output's place cannot be written: read-only, or full."""


class EngineError(GeosegError, RuntimeError):
    """A block could not be computed, here or on any worker."""
