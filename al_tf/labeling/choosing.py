"""What to show next: the strategy's choice, the random audit, blind repeats, a start without a model."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import check_one_of
from .ledger import Event, Wish
from .pool import ImagePool
from .training import PoolClassifier, simple_features

COLD_STARTS = ("random", "typiclust")


def audit_rank(image: str, seed: int) -> float:
    """Return a number in [0, 1) drawn for an image: the same in every session and process.

    The images whose number is below the audit share are the audit reserve: a simple random
    sample of the pool, drawn before anything is labelled, that no strategy sees and no model is
    trained on. They are shown in the order of their numbers.
    """
    digest = hashlib.sha256(f"{seed}\x1faudit\x1f{image}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def quota(share: float, counts: Mapping[str, int], purpose: str, batch: int) -> int:
    """Return how many of the next batch serve a purpose, so that its share holds over batches."""
    wanted = round(share * (sum(counts.values()) + batch)) - counts.get(purpose, 0)
    return int(np.clip(wanted, 0, batch))


def repeat_candidates(standing: Sequence[Event], annotator: str, gap: int) -> list[Event]:
    """Return an annotator's labels that may be asked for again, once each.

    Parameters
    ----------
    standing : sequence of Event
        Of `LabelLedger.standing`.
    annotator : str
    gap : int
        Their last answers, too fresh in mind to be repeated.

    Returns
    -------
    list of Event
        Labels of images that the strategy chose; audit images are left out.
    """
    mine = [event for event in standing if event.annotator == annotator]
    repeated = {event.image for event in mine if event.purpose == "repeat"}
    old = mine[: max(0, len(mine) - gap)]
    return [
        event
        for event in old
        if event.kind == "label" and event.purpose == "query" and event.image not in repeated
    ]


def first_wishes(
    pool: ImagePool, free: Sequence[str], n: int, how: str, rng: np.random.Generator
) -> list[Wish]:
    """Choose without a model: at random, or typical images of different groups (TypiClust)."""
    check_one_of("cold_start", how, COLD_STARTS)
    if how == "random":
        picked = rng.permutation(len(free))[:n]
        return [Wish(free[i], "query", "random") for i in picked]
    from ..strategies import get_strategy

    ids, features = simple_features(pool, free)
    if not ids:
        return []
    indices, scores = get_strategy("typiclust")(
        _Features(), features, n_instances=min(n, len(ids)), random_state=rng
    )
    return _wishes(ids, indices, scores, "typiclust")


def strategy_wishes(
    strategy: Callable[..., Any],
    name: str,
    classifier: PoolClassifier,
    pool: ImagePool,
    free: Sequence[str],
    n: int,
    rng: np.random.Generator,
) -> list[Wish]:
    """Choose with a model: what the strategy asks for, best first."""
    n = min(n, len(free))
    accepts = inspect.signature(strategy).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepts.values())
    seeded = {"random_state": rng} if takes_any or "random_state" in accepts else {}
    indices, scores = strategy(classifier, pool.view(free), n_instances=n, **seeded)
    return _wishes(free, indices, scores, name)


def _wishes(ids: Sequence[str], indices: Any, scores: Any, name: str) -> list[Wish]:
    return [
        Wish(ids[int(i)], "query", name, float(score))
        for i, score in zip(indices, scores, strict=True)
    ]


class _Features:
    """Features that are features already: what a strategy needs before there is a model."""

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X
