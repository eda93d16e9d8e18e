"""What to show next: the strategy's choice, random audit images, blind repeats, and the cold start."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..seeding import stream
from .audit import DRAWN_AT_ONCE, AuditReserve, drawn_number
from .image_pool import ImagePool
from .ledger import Candidate, Event
from .pixel_features import pixel_features
from .pool_features import PoolFeatures
from .scored_model import SCORED_AT_ONCE, PoolClassifier

COLD_STARTS = ("random", "typiclust")
MAX_GROUPED = 1_000
"""Images among which typical ones are looked for before there is a model."""
MAX_CANDIDATES = SCORED_AT_ONCE
"""Images of a large pool among which a batch is chosen."""


def overlap_rank(image: str, seed: int) -> float:
    """Return a number in [0, 1) drawn for an image, independently of the audit's.

    Of the images that are labeled, those whose number is below the overlap share are asked of a
    second annotator. No model has a say in it, so that their agreement is that of all labels.
    """
    return drawn_number(image, seed, "overlap")


def quota(share: float, counts: Mapping[str, int], purpose: str, batch: int) -> int:
    """Return how many of the next batch serve a purpose, so that its share holds over batches."""
    missing = round(share * (sum(counts.values()) + batch)) - counts.get(purpose, 0)
    return int(np.clip(missing, 0, batch))


def repeat_candidates(standing: Sequence[Event], annotator: str, gap: int) -> list[Event]:
    """Return an annotator's labels that may be asked for again, each at most once.

    Parameters
    ----------
    standing : sequence of Event
        Of `LabelLedger.standing`.
    annotator : str
    gap : int
        Number of their last answers that are too fresh in memory to be repeated.

    Returns
    -------
    list of Event
        Labels of images that the strategy chose; audit images and cleared labels are left out.
    """
    mine = [event for event in standing if event.annotator == annotator]
    repeated = {event.image for event in mine if event.purpose == "repeat"}
    cleared = {event.image for event in standing if event.kind == "clear"}
    old = mine[: max(0, len(mine) - gap)]
    return [
        event
        for event in old
        if event.kind == "label" and event.purpose == "query"
        and event.image not in repeated and event.image not in cleared
    ]  # fmt: skip


def choose_without_model(
    pool: ImagePool,
    inputs: ImagePool | PoolFeatures,
    free: Sequence[str],
    n: int,
    how: str,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Choose without a model: at random, or typical images of different groups (TypiClust).

    Groups are found by the features of a pretrained network among the images that have them
    already; where they are fewer than a batch, images are drawn at random, so that nobody waits.
    Without such a network, by features of the pixels. Of more than `MAX_GROUPED` images, so many
    drawn at random are grouped.
    """
    if how == "typiclust" and isinstance(inputs, PoolFeatures):
        ids = _drawn([image for image in free if image in inputs.table], MAX_GROUPED, rng)
        features = inputs.table.rows(ids)
        how = how if len(ids) >= n else "random"
    elif how == "typiclust":
        ids, features = pixel_features(pool, _drawn(free, MAX_GROUPED, rng))
        if not ids:
            return []
    if how == "random":
        picked = rng.permutation(len(free))[:n]
        return [Candidate(free[i], "query", "random") for i in picked]
    from ..strategies import get_strategy
    from ..strategies.cold_start import FeaturesOnly

    indices, scores = get_strategy("typiclust")(
        FeaturesOnly(), features, n_instances=min(n, len(ids)), random_state=rng
    )
    return _candidates(ids, indices, scores, "typiclust")


def _drawn(ids: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    """Return all of some images, or as many as wanted, drawn at random and in their order."""
    if len(ids) <= most:
        return list(ids)
    return [ids[i] for i in np.sort(rng.choice(len(ids), most, replace=False))]


def choose_with_model(
    strategy: Callable[..., Any],
    name: str,
    classifier: PoolClassifier,
    pool: ImagePool,
    free: Sequence[str],
    n: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Choose with a model: what the strategy returns, best first."""
    n = min(n, len(free))
    accepts = inspect.signature(strategy).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepts.values())
    seeded = {"random_state": rng} if takes_any or "random_state" in accepts else {}
    indices, scores = strategy(classifier, pool.view(free), n_instances=n, **seeded)
    return _candidates(free, indices, scores, name)


def _candidates(ids: Sequence[str], indices: Any, scores: Any, name: str) -> list[Candidate]:
    return [
        Candidate(ids[int(i)], "query", name, float(score))
        for i, score in zip(indices, scores, strict=True)
    ]


def check_needs(strategy: str | Callable[..., Any], learner: Any) -> None:
    """Raise now what a strategy by name could only raise after the first batch.

    Raises
    ------
    UnknownNameError
        There is no such strategy.
    ValueError
        It needs a committee or samples that `learner` does not give, or fits models of its own.
    """
    from ..strategies import strategy_info

    if not isinstance(strategy, str):
        return
    needs = strategy_info(strategy).needs
    if "committee" in needs and not hasattr(learner, "vote_proba"):
        raise ValueError(
            f"Strategy {strategy!r} needs a committee of models, and there is one model here. Choose "
            "another strategy; in Python, a session may be given an al_tf Committee."
        )
    if "refits" in needs:
        raise ValueError(
            f"Strategy {strategy!r} fits a model for each image and class: no labeling can wait for "
            "that. Choose another strategy."
        )
    estimator = getattr(learner, "estimator", learner)
    if "joint samples" in needs and (
        hasattr(estimator, "model_fn") or not hasattr(estimator, "sample_proba")
    ):
        raise ValueError(
            f"Strategy {strategy!r} needs samples of the model that cover all images at once. Use a "
            "LinearProbeClassifier (on the command line: --model probe), or another strategy."
        )
    if "dropout" in needs and not samples_probabilities(estimator):
        raise ValueError(
            f"Strategy {strategy!r} needs a model that samples its probabilities: a "
            "LinearProbeClassifier, or a KerasImageClassifier whose network has dropout, such as "
            "model_params={'dropout': 0.25} for build_cnn. Pass one of these, or another strategy."
        )


def samples_probabilities(estimator: Any) -> bool:
    """Return whether an estimator has ``sample_proba``, as far as is known before it is fitted."""
    if not hasattr(estimator, "sample_proba"):
        return False
    from ..network.models import build_cnn

    if getattr(estimator, "model_fn", None) is not build_cnn:
        return True  # a probe, or another network, which may have dropout
    return bool((estimator.model_params or {}).get("dropout"))


@dataclass(frozen=True)
class Chooser:
    """How a session composes its batches.

    Parameters
    ----------
    strategy : str or callable
        Chooses with a model.
    cold_start : str
        One of `COLD_STARTS`; chooses without.
    reserve : AuditReserve
        The same share of each batch comes from it.
    repeat_share : float
        Share of each batch.
    seed : int
        Of the ledger.
    overlap : float
        Share of the images labeled one by one that a second annotator is asked for.
    """

    strategy: str | Callable[..., Any]
    cold_start: str
    reserve: AuditReserve
    repeat_share: float
    seed: int
    overlap: float = 0.0

    def batch(
        self,
        *,
        pool: ImagePool,
        inputs: ImagePool | PoolFeatures,
        repeatable: Sequence[Event],
        unavailable: set[str],
        counts: Mapping[str, int],
        due: Sequence[str],
        annotator: str,
        classifier: PoolClassifier | None,
        size: int,
    ) -> list[Candidate]:
        """Return the next batch, in the order of showing; shorter where images run out.

        Parameters
        ----------
        pool : ImagePool
        inputs : ImagePool or PoolFeatures
            What the model is fitted on.
        repeatable : sequence of Event
            Of `repeat_candidates`.
        unavailable : set of str
            Images with an answer, or set aside.
        counts : mapping of str to int
            Images set aside for this annotator so far, by purpose.
        due : sequence of str
            Images that others labeled, of `Queue.second_opinions_due`. Those that were drawn for
            a second opinion are half of the batch at most, while there is anything else.
        annotator : str
        classifier : PoolClassifier or None
            The newest model. It chooses among the images whose features, or scores, are there; of
            more than `MAX_CANDIDATES`, among so many of those it has scored, drawn at random.
        size : int
            Images to choose.
        """
        rng = stream(self.seed, "batch", annotator, sum(counts.values()))
        second = [i for i in due if i in pool and overlap_rank(i, self.seed) < self.overlap]
        n_first = size - min(len(second), (size + 1) // 2)
        counts = {purpose: n for purpose, n in counts.items() if purpose != "second"}
        reserve = self.reserve.first(
            size,
            lambda image: image in pool and image not in unavailable,
            among=DRAWN_AT_ONCE * (1 + sum(counts.values()) // size),
        )
        n_audit = min(quota(self.reserve.share, counts, "audit", n_first), len(reserve))
        n_repeat = min(quota(self.repeat_share, counts, "repeat", n_first), len(repeatable))
        n_chosen = n_first - n_audit - n_repeat
        open_to_all = self._candidates(pool, inputs, unavailable, classifier, n_chosen, rng)
        chosen = self._chosen(pool, inputs, open_to_all, n_chosen, classifier, rng)
        if n_chosen and not chosen:  # what is left is the audit reserve
            n_audit, n_repeat = min(n_first, len(reserve)), 0
        picked = [repeatable[i] for i in rng.permutation(len(repeatable))[:n_repeat]]
        candidates = [
            *chosen,
            *(Candidate(image, "audit", "random") for image in reserve[:n_audit]),
            *(Candidate(event.image, "repeat", event.strategy, event.score) for event in picked),
        ]
        second = second[: size - len(candidates)]
        candidates += [Candidate(image, "second", "overlap") for image in second]
        return [candidates[i] for i in rng.permutation(len(candidates))]

    def rank(
        self,
        *,
        pool: ImagePool,
        inputs: ImagePool | PoolFeatures,
        unavailable: set[str],
        classifier: PoolClassifier | None,
        size: int,
        place: int,
    ) -> list[Candidate]:
        """Return images outside the audit reserve in the order in which they are to be labeled.

        With a strategy that judges each image by itself these are all images that the model has
        scored. A strategy that composes batches, and the cold start, give one batch.

        Parameters
        ----------
        pool, inputs, unavailable, classifier
            As in `batch`.
        size : int
            Images in a batch.
        place : int
            Tells this ranking from others of the same ledger: it seeds the draws.
        """
        rng = stream(self.seed, "rank", place)
        free = self._free(pool.ids, unavailable)
        n = size if classifier is None or self._composes_batches() else len(free)
        return self._chosen(pool, inputs, free, n, classifier, rng)

    def _candidates(
        self,
        pool: ImagePool,
        inputs: ImagePool | PoolFeatures,
        unavailable: set[str],
        classifier: PoolClassifier | None,
        n: int,
        rng: np.random.Generator,
    ) -> list[str]:
        """Return available images to choose `n` from: all, or a random sample of a large pool."""
        if len(pool) > MAX_CANDIDATES:
            for known in self._known(pool, inputs, classifier):
                if len(known) > MAX_CANDIDATES:
                    drawn = np.unique(rng.integers(len(known), size=MAX_CANDIDATES))
                    known = [known[row] for row in drawn.tolist()]
                free = [image for image in self._free(known, unavailable) if image in pool]
                if len(free) >= n:
                    return list(dict.fromkeys(free))
        return self._free(pool.ids, unavailable)

    def _known(
        self,
        pool: ImagePool,
        inputs: ImagePool | PoolFeatures,
        classifier: PoolClassifier | None,
    ) -> Iterator[Sequence[str]]:
        """Yield images of a large pool, those that can be compared first; all in random order."""
        if classifier is not None:
            yield classifier.candidates
            return
        if self.cold_start != "random" and isinstance(inputs, PoolFeatures):
            yield inputs.table.images(len(inputs.table))
        yield pool.arrivals

    def _free(self, images: Sequence[str], unavailable: set[str]) -> list[str]:
        """Return those of some images that are available, and not in the audit reserve."""
        return self.reserve.without([image for image in images if image not in unavailable])

    def _composes_batches(self) -> bool:
        from ..strategies import strategy_info

        if not isinstance(self.strategy, str):
            return True
        info = strategy_info(self.strategy)
        return info.sequential or "diversity" in info.family

    def _chosen(
        self,
        pool: ImagePool,
        inputs: ImagePool | PoolFeatures,
        free: list[str],
        n: int,
        classifier: PoolClassifier | None,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        if not free or n < 1:
            return []
        scored = [] if classifier is None else classifier.known_of(free)
        if classifier is None or not scored:
            return choose_without_model(pool, inputs, free, n, self.cold_start, rng)
        return choose_with_model(self._function(), self._name(), classifier, pool, scored, n, rng)

    def _function(self) -> Callable[..., Any]:
        from ..strategies import get_strategy

        return self.strategy if callable(self.strategy) else get_strategy(self.strategy)

    def _name(self) -> str:
        if isinstance(self.strategy, str):
            return self.strategy
        return getattr(self.strategy, "__name__", type(self.strategy).__name__)
