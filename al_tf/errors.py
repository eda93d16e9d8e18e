"""The error classes of the package, and the check of a value against a list."""

from __future__ import annotations

from collections.abc import Iterable


class AlTfError(Exception):
    """Base of every error class of this package."""


class DataNotFoundError(AlTfError, FileNotFoundError):
    """A dataset or folder of images was not found; the message says what to do."""


class DataCorruptError(AlTfError, ValueError):
    """A data file is truncated, tampered with, or not of the format its name promises."""


class DataWarning(UserWarning):
    """Images are left out, or something about them makes results misleading."""


class FeaturesNotKeptWarning(RuntimeWarning):
    """Features of images are computed but cannot be kept on disk; the message says why."""


class UnknownNameError(AlTfError, ValueError):
    """A name (of a strategy, dataset, profile, …) that is not known; the message lists the known ones."""


class UnknownLabelError(AlTfError, ValueError):
    """A label that is not among the classes fixed for the classifier."""


class ClassChangeError(AlTfError, ValueError):
    """A change of a ledger's classes that cannot be made; nothing was changed."""


class ConfigMismatchError(AlTfError, ValueError):
    """A results folder holds records of another configuration; the message lists the differences."""


class FolderInUseError(AlTfError, RuntimeError):
    """Another process is running an experiment in the same results folder."""


class RecordError(AlTfError, ValueError):
    """A record file cannot be read as this package wrote it."""


class StorageError(AlTfError, OSError):
    """A file cannot be written: the disk is full or read-only, or permissions are missing."""


class RunFailedError(AlTfError, RuntimeError):
    """Runs of an experiment, or work on a cluster, failed; what was finished before is kept."""


class PluginError(AlTfError, ImportError):
    """An installed package offers a strategy that cannot be loaded; the message names it."""


class ImageGoneError(AlTfError, OSError):
    """An image of a pool cannot be read any more: its file vanished, changed or is damaged."""


class LedgerError(AlTfError, RuntimeError):
    """A label ledger cannot be opened, read or written; the message says why."""


class StaleItemError(LedgerError):
    """An answer came for an image that is no longer the one shown; nothing was recorded."""


class TrainingFailedError(AlTfError, RuntimeError):
    """The training behind a labeling session failed; the labels are safe in the ledger."""


class DeskError(AlTfError, OSError):
    """The labeling desk cannot be opened in a browser; the message says why."""


class LabelStudioError(AlTfError, ValueError):
    """A project, file or server of Label Studio does not fit or cannot be used; the message says why."""


def check_one_of(kind: str, value: object, allowed: Iterable[object]) -> None:
    """Raise `UnknownNameError` unless `value` is among `allowed`.

    Parameters
    ----------
    kind : str
        What the value is, in words: ``"strategy"``, ``"fit_mode"``.
    value : object
        The value given.
    allowed : iterable
        The values accepted, listed in the message.
    """
    allowed = list(allowed)
    if value not in allowed:
        listed = ", ".join(repr(a) for a in allowed)
        raise UnknownNameError(f"Unknown {kind} {value!r}. Expected one of: {listed}.")
