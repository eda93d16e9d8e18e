"""The audit reserve: the images drawn before anything is labeled, to measure models by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ..folders import part_of_name
from .image_pool import ImagePool
from .ledger import LabelLedger

_GROUP = "group"


def audit_rank(image: str, seed: int) -> float:
    """Return the number drawn for an image that is no part of anything; see `AuditReserve`."""
    return drawn_number(image, seed, "audit")


def drawn_number(image: str, seed: int, purpose: str) -> float:
    """Return a number in [0, 1) drawn for an image: the same in every session and process."""
    digest = hashlib.sha256(f"{seed}\x1f{purpose}\x1f{image}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


class AuditReserve:
    """A share of the pool, drawn before anything is labeled: no strategy sees it, no model learns it.

    Without a grouping it is a simple random sample of the images. With one, whole parts are drawn:
    a model that has learned one photograph of a part knows the others too well to be measured by
    them.

    Parameters
    ----------
    pool : ImagePool
    share : float
    seed : int
        Of the ledger.
    group : str, optional
        A regular expression for names, see `part_of_name`.
    """

    def __init__(self, pool: ImagePool, share: float, seed: int, group: str | None = None) -> None:
        self.share, self._seed = share, seed
        part = None if group is None else part_of_name(group)
        self._drawn_as = _drawn_as(pool, part)
        self._last: tuple[tuple[str, ...], bytes] = ((), b"")

    def __contains__(self, image: object) -> bool:
        return audit_rank(self._drawn_as(str(image)), self._seed) < self.share

    def of(self, ids: tuple[str, ...]) -> bytes:
        """Return 1 for each image of the reserve, and 0 for each other; each is drawn once."""
        before, marks = self._last
        if ids is not before:
            known = dict(zip(before, marks, strict=True))
            known |= {image: int(image in self) for image in ids if image not in known}
            marks = bytes(known[image] for image in ids)
            self._last = (ids, marks)
        return marks

    def order(self, image: str) -> float:
        """Return the place in [0, 1) of an image of the reserve: they are shown in this order."""
        return audit_rank(image, self._seed)


def _drawn_as(
    pool: ImagePool, part: Callable[[str], tuple[str, ...] | None] | None
) -> Callable[[str], str]:
    """Return what is drawn for an image: itself, or the part that its name says it shows."""

    def drawn_as(image: str) -> str:
        key = None if part is None else part(pool.name(image))
        return image if key is None else "\x1f".join(("part", *key))

    return drawn_as


def settled_group(ledger: LabelLedger, pool: ImagePool, group: str | None) -> str | None:
    """Return the ledger's grouping; that of a new ledger is the one that is given.

    Raises
    ------
    ValueError
        Another grouping than that with which the ledger was begun: images of one part may be
        trained on by now. Or a regular expression that is none, or fits no name.
    """
    known = ledger.setting(_GROUP)
    if group is None or group == known:
        return known
    if known is not None or ledger.setting("seed") is not None:
        begun = "no grouping" if known is None else f"group={known!r}"
        raise ValueError(
            f"{ledger.path} was begun with {begun}; got {group!r}. Begin a new ledger with it."
        )
    part = part_of_name(group)
    names = [pool.name(image) for image in pool.ids]
    if not any(part(name) for name in names):
        raise ValueError(
            f"group={group!r} matches none of the {len(names):,} names (without folder and "
            f"extension), such as {names[0]!r}."
        )
    return group


def store_group(ledger: LabelLedger, group: str | None) -> None:
    """Store the grouping of a new ledger."""
    if group is not None:
        ledger.settle(_GROUP, group)
