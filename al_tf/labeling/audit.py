"""The audit reserve: the images drawn before anything is labeled, to measure models by."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

from ..folders import part_of_name
from .image_pool import ImagePool
from .ledger import LabelLedger

DRAWN_AT_ONCE = 1 << 16
"""Images of a large pool that are drawn for before a batch is chosen; the others soon after it."""
SOON = 3.0
"""Seconds."""
_AUDIT, _GROUP = "audit", "group"


def audit_rank(image: str, seed: int) -> float:
    """Return the number drawn for an image that is no part of anything; see `AuditReserve`."""
    return drawn_number(image, seed, _AUDIT)


def drawn_number(image: str, seed: int, purpose: str) -> float:
    """Return a number in [0, 1) drawn for an image: the same in every session and process."""
    return drawn_numbers([image], seed, purpose)[0]


def drawn_numbers(images: Iterable[str], seed: int, purpose: str) -> list[float]:
    """Return the `drawn_number` of each of many images."""
    begin, sha256, number = f"{seed}\x1f{purpose}\x1f".encode(), hashlib.sha256, int.from_bytes
    return [number(sha256(begin + image.encode()).digest()[:7], "big") / 2**56 for image in images]


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
        self.share, self.seed = share, seed
        self.part_of = part_function(pool, group)
        self._pool, self._n_seen = pool, 0  # of the pool's arrivals
        self._drawn: dict[str, int] = {}  # and their places among the arrivals
        self._ordered: list[tuple[float, str]] = []
        self._lock = threading.Lock()
        self._later: threading.Timer | None = None

    def __contains__(self, image: object) -> bool:
        return audit_rank(self.part_of(str(image)), self.seed) < self.share

    def drawn(self) -> Collection[str]:
        """Return the images of the pool that are in the reserve, and some that have gone."""
        self._draw(len(self._pool.arrivals))
        return self._drawn.keys()

    def without(self, images: Sequence[str]) -> list[str]:
        """Return those of some images of the pool that are not in the reserve."""
        n = len(self._pool.arrivals)
        if n - self._n_seen <= len(images):  # no more work than for these
            self._draw(n)
            return [image for image in images if image not in self._drawn]
        numbers = drawn_numbers(map(self.part_of, images), self.seed, _AUDIT)
        return [i for i, number in zip(images, numbers, strict=True) if number >= self.share]

    def first(self, n: int, is_free: Callable[[str], bool], among: int) -> list[str]:
        """Return the first `n` free images of the reserve, in the order in which they are shown.

        Parameters
        ----------
        n : int
        is_free : callable
            Tells whether an image may be returned.
        among : int
            How many images of the pool, in the order of their arrival, are drawn for; more where
            the reserve has fewer than `n` free images among these.
        """
        while True:
            self._draw(among)
            in_order = (image for _, image in self._ordered if self._drawn[image] < among)
            images = [*islice(filter(is_free, in_order), n)]
            if len(images) == n or among >= len(self._pool.arrivals):
                self._draw_others_soon()
                return images
            among *= 2

    def _draw_others_soon(self) -> None:
        """Draw for all images of the pool in a thread, a part at a time."""
        with self._lock:
            if self._n_seen < len(self._pool.arrivals) and not (
                self._later and self._later.is_alive()
            ):
                self._later = threading.Timer(SOON, self._draw_others)
                self._later.daemon = True
                self._later.start()

    def _draw_others(self) -> None:
        while (n := self._n_seen) < len(self._pool.arrivals):
            self._draw(n + DRAWN_AT_ONCE // 4)

    def _draw(self, n: int) -> None:
        """Draw for each of the first `n` arrivals of the pool, once."""
        with self._lock:
            new = self._pool.arrivals[self._n_seen : n]
            numbers = drawn_numbers(map(self.part_of, new), self.seed, _AUDIT)
            drawn = {
                image: place
                for place, image in enumerate(new, self._n_seen)
                if numbers[place - self._n_seen] < self.share and image not in self._drawn
            }
            if drawn:
                self._drawn.update(drawn)
                places = zip(drawn_numbers(drawn, self.seed, _AUDIT), drawn, strict=True)
                self._ordered = sorted([*self._ordered, *places])
            self._n_seen += len(new)


def part_function(pool: ImagePool, group: str | None) -> Callable[[str], str]:
    """Return a function from an image to the part it shows: by its name, else the image itself.

    Parameters
    ----------
    pool : ImagePool
    group : str or None
        A regular expression for names, see `part_of_name`.
    """
    part = None if group is None else part_of_name(group)

    def part_of(image: str) -> str:
        key = None if part is None else part(pool.name(image))
        return image if key is None else "\x1f".join(("part", *key))

    return part_of


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
