"""What can go wrong, and the one check that words most of it."""

from __future__ import annotations

from collections.abc import Iterable


class AlTfError(Exception):
    """Base of every error class of this package."""


class DataNotFoundError(AlTfError, FileNotFoundError):
    """A dataset is in none of the places searched; the message lists them and a remedy."""


class DataCorruptError(AlTfError, ValueError):
    """A data file is truncated, tampered with, or not of the format its name promises."""


class UnknownNameError(AlTfError, ValueError):
    """A name (strategy, dataset, profile, …) that is not registered; the message lists those that are."""


class UnknownLabelError(AlTfError, ValueError):
    """A label that is not among the classes fixed for the classifier."""


class ConfigMismatchError(AlTfError, ValueError):
    """A results folder holds records of another configuration; the message lists the differences."""


class FolderInUseError(AlTfError, RuntimeError):
    """Another process is running an experiment in the same results folder."""


class RecordError(AlTfError, ValueError):
    """A record file cannot be read as this package wrote it."""


class StorageError(AlTfError, OSError):
    """The disk refuses a file: it is full, it is read-only, or rights are missing."""


class RunFailedError(AlTfError, RuntimeError):
    """One or more runs of an experiment failed; the message names them, their records are kept."""


class PluginError(AlTfError, ImportError):
    """An installed package offers a strategy that cannot be loaded; the message names it."""


class ImageGoneError(AlTfError, OSError):
    """An image of a pool cannot be read any more: its file vanished, changed or is damaged."""


class LedgerError(AlTfError, RuntimeError):
    """A label ledger that cannot be opened, read or written as asked; the message says why."""


class StaleItemError(LedgerError):
    """An answer to an image that is no longer the one asked about; nothing was recorded."""


class TrainingFailedError(AlTfError, RuntimeError):
    """The training behind a labeling session failed; the labels are safe in the ledger."""


class DeskError(AlTfError, OSError):
    """The labeling desk cannot be opened in a browser; the message says why."""


def check_one_of(kind: str, value: object, allowed: Iterable[object]) -> None:
    """Raise `UnknownNameError` unless `value` is among `allowed`.

    Parameters
    ----------
    kind : str
        What the value is, in words (``"strategy"``, ``"fit_mode"``).
    value : object
        The value given.
    allowed : iterable
        The values accepted, listed in the message.
    """
    allowed = list(allowed)
    if value not in allowed:
        listed = ", ".join(repr(a) for a in allowed)
        raise UnknownNameError(f"Unknown {kind} {value!r}. Expected one of: {listed}.")
