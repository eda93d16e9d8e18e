"""The checks of the conformance kit, one function each."""

from __future__ import annotations

import pickle
import random as python_random
import re
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .answers import StrategyCheckError, check_answer
from .cases import Case
from .spies import spy_on
from .subject import Subject

N_SEEDS = 120  # queries of the checks that compare frequencies
Z_LIMIT = 5.5  # standard errors; exceeded by chance in fewer than one strategy in a million
MANY_QUERIES = ("place in the pool", "ties")  # checks that run on fewer cases than the others

Check = Callable[[Subject, Case], None]
CHECKS: dict[str, Check] = {}


def _check(name: str) -> Callable[[Callable[[Subject, Case, str], None]], Check]:
    """Enter a function into `CHECKS` under `name`, which is passed as its last argument."""

    def enter(function: Callable[[Subject, Case, str], None]) -> Check:
        def check(subject: Subject, case: Case) -> None:
            function(subject, case, name)

        check.__doc__ = function.__doc__
        CHECKS[name] = check
        return check

    return enter


@_check("answer")
def _answer(subject: Subject, case: Case, name: str) -> None:
    """Require unique indices in range, exactly n_instances, finite scores, the best first."""
    subject.answer(name, subject.classifier(case), case.pool, case.k)


@_check("defaults")
def _defaults(subject: Subject, case: Case, name: str) -> None:
    """Require one image by default, without a random_state, and that a Generator is accepted."""
    classifier = subject.classifier(case)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            answer = subject.strategy(classifier, case.pool, **subject.params)
    except Exception as error:
        raise StrategyCheckError(
            name, f"strategy(classifier, X) raised {type(error).__name__}: {error}"
        ) from error
    check_answer(answer, case.n, 1, subject.sequential)
    subject.answer(name, classifier, case.pool, case.k, np.random.default_rng(case.seed))


@_check("k = 1")
def _one(subject: Subject, case: Case, name: str) -> None:
    """Require an answer for a batch of one, also from a pool of one."""
    classifier = subject.classifier(case)
    subject.answer(name, classifier, case.pool, 1)
    subject.answer(name, classifier, case.pool[:1], 1)


@_check("k = n")
def _all(subject: Subject, case: Case, name: str) -> None:
    """Require an answer for a batch that is the whole pool."""
    subject.answer(name, subject.classifier(case), case.pool, case.n)


@_check("impossible requests")
def _impossible(subject: Subject, case: Case, name: str) -> None:
    """Require a ValueError for more images than there are, for none, for an empty pool."""
    classifier = subject.classifier(case)
    for pool, k in ((case.pool, case.n + 1), (case.pool, 0), (case.pool[:0], 1)):
        _expect_error(subject, name, (ValueError,), classifier, pool, k)


@_check("inputs untouched")
def _inputs(subject: Subject, case: Case, name: str) -> None:
    """Require that the pool, the classifier and its labeled set do not change."""
    classifier, pool = subject.classifier(case), case.pool
    before = pickle.dumps(classifier)
    subject.answer(name, classifier, pool, case.k)
    if not np.array_equal(pool, case.pool):
        raise StrategyCheckError(name, "the strategy wrote to the pool.")
    if pickle.dumps(classifier) != before:
        raise StrategyCheckError(
            name, "the strategy changed the classifier (its weights, attributes or labeled set)."
        )


@_check("global generators untouched")
def _global(subject: Subject, case: Case, name: str) -> None:
    """Require that numpy's and Python's global generators stay as they are."""
    classifier = subject.classifier(case)
    saved = np.random.get_state(), python_random.getstate()  # noqa: NPY002
    try:
        # Unlikely seeds: a strategy that seeds with 0 must not leave the state unchanged.
        np.random.seed(987_654_321)  # noqa: NPY002
        python_random.seed(987_654_321)
        before = pickle.dumps((np.random.get_state(), python_random.getstate()))  # noqa: NPY002
        subject.answer(name, classifier, case.pool, case.k)
        after = pickle.dumps((np.random.get_state(), python_random.getstate()))  # noqa: NPY002
    finally:
        np.random.set_state(saved[0])  # noqa: NPY002
        python_random.setstate(saved[1])
    if after != before:
        raise StrategyCheckError(
            name, "a global random generator was used; draw from check_random_state(random_state)."
        )


@_check("same seed, same answer")
def _reproducible(subject: Subject, case: Case, name: str) -> None:
    """Require that queries with one random_state agree, in indices and in scores."""
    _query_twice(subject, case, name, case.pool)


@_check("pool order")
def _order(subject: Subject, case: Case, name: str) -> None:
    """Require the same images of a reordered pool, but for ties at the lowest score."""
    if subject.stochastic:
        return
    classifier, pool = subject.classifier(case), case.pool
    order = np.random.default_rng(case.seed).permutation(case.n)
    chosen, scores = subject.answer(name, classifier, pool, case.k)
    again, again_scores = subject.answer(name, classifier, pool[order], case.k)
    again = order[again]  # as places in the first pool
    if set(chosen) == set(again):
        return
    swapped = [*scores[~np.isin(chosen, again)], *again_scores[~np.isin(again, chosen)]]
    if subject.sequential or np.ptp([*swapped, scores[-1], again_scores[-1]]) > 0:
        raise StrategyCheckError(
            name,
            f"chose images {sorted(chosen.tolist())}, and {sorted(again.tolist())} when they stood "
            "in another order, and they do not tie. Register a strategy that draws at random with "
            "stochastic=True.",
        )


@_check("place in the pool")
def _place(subject: Subject, case: Case, name: str) -> None:
    """Require that a stochastic strategy prefers no place in the pool."""
    if not subject.stochastic:
        return
    case = replace(case, n=case.n + 6)
    classifier, pool = subject.classifier(case), case.pool
    k = min(case.k, case.n // 2)
    there, back = np.zeros(case.n), np.zeros(case.n)
    for seed in range(N_SEEDS):
        there[subject.answer(name, classifier, pool, k, seed)[0]] += 1
        back[case.n - 1 - subject.answer(name, classifier, pool[::-1], k, seed + N_SEEDS)[0]] += 1
    frequency = (there + back) / (2 * N_SEEDS)
    error = np.sqrt(2 * N_SEEDS * frequency * (1 - frequency))
    z = np.divide(abs(there - back), error, out=np.zeros(case.n), where=error > 0)
    worst = int(z.argmax())
    if z[worst] > Z_LIMIT:
        raise StrategyCheckError(
            name,
            f"in {N_SEEDS} queries image {worst} of {case.n} was chosen {there[worst]:.0f} times "
            f"at its place and {back[worst]:.0f} times at place {case.n - 1 - worst}.",
        )


@_check("ties")
def _ties(subject: Subject, case: Case, name: str) -> None:
    """Require that random_state chooses among identical images, each equally often."""
    classifier, n = subject.classifier(case), 4
    pool = np.repeat(case.pool[:1], n, axis=0)
    chosen = [int(subject.answer(name, classifier, pool, 1, seed)[0][0]) for seed in range(N_SEEDS)]
    counts = np.bincount(chosen, minlength=n)
    z = abs(counts - N_SEEDS / n) / np.sqrt(N_SEEDS / n * (1 - 1 / n))
    if z.max() > Z_LIMIT:
        raise StrategyCheckError(
            name,
            f"{n} identical images were chosen {counts.tolist()} times in {N_SEEDS} "
            "queries: ties must be broken by random_state, not by pool order.",
        )


@_check("kinds of pool")
def _kinds(subject: Subject, case: Case, name: str) -> None:
    """Require the same answer for non-contiguous and memory-mapped copies of the pool."""
    classifier, pool = subject.classifier(case), case.pool
    expected, _ = subject.answer(name, classifier, pool, case.k)
    strided = np.repeat(pool, 2, axis=0)[::2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        np.save(path, pool)
        mapped = np.load(path, mmap_mode="r")
        for kind, other in (("non-contiguous", strided), ("memory-mapped", mapped)):
            got, _ = subject.answer(name, classifier, other, case.k)
            if not np.array_equal(got, expected):
                raise StrategyCheckError(
                    name, f"a {kind} copy of the pool gave {got.tolist()}, not {expected.tolist()}."
                )


@_check("duplicates")
def _duplicates(subject: Subject, case: Case, name: str) -> None:
    """Require reproducible answers from a pool of triplicates, and of one image n times."""
    _query_twice(subject, case, name, np.repeat(case.pool, 3, axis=0))
    _query_twice(subject, case, name, np.repeat(case.pool[:1], case.n, axis=0))


@_check("missing classes")
def _missing(subject: Subject, case: Case, name: str) -> None:
    """Require an answer where one class has no label, and where only one class has any."""
    classes = case.classes
    for seen in (classes[1:], classes[:1]):
        for fixed in (True, False):
            without = replace(case, classes_fixed=fixed)
            labels = np.resize(seen, case.n_labeled)
            subject.answer(name, subject.classifier(without, labels), case.pool, case.k)


@_check("bare estimator")
def _bare(subject: Subject, case: Case, name: str) -> None:
    """Require an answer for a bare estimator, or an error that names what it lacks."""
    classifier = subject.classifier(case)
    if subject.wants_committee:
        estimator = classifier.learner_list[0].estimator
        _expect_error(subject, name, (TypeError,), estimator, case.pool, case.k, "committee")
    elif "labeled set" in (subject.needs or ()):
        try:
            subject.query(classifier.estimator, case.pool, case.k)
        except (TypeError, ValueError):
            _expect_error(
                subject, name, (TypeError, ValueError), classifier.estimator, case.pool, case.k,
                "labeled",
            )  # fmt: skip
    else:
        subject.answer(name, classifier.estimator, case.pool, case.k)


@_check("stated needs")
def _needs(subject: Subject, case: Case, name: str) -> None:
    """Require that nothing of the classifier is used beyond the registered needs."""
    if subject.needs is None:
        return
    classifier, calls = spy_on(subject, case)
    subject.answer(name, classifier, case.pool, case.k)
    allowed = {*subject.needs, *(["probabilities"] if subject.wants_committee else [])}
    if allowed & {"probabilities", "dropout", "joint samples"}:
        allowed.add("classes")  # their columns tell
    if calls - allowed:
        raise StrategyCheckError(
            name, f"is registered with needs={subject.needs} but uses {sorted(calls)}."
        )


@_check("NaN")
def _nan(subject: Subject, case: Case, name: str) -> None:
    """Require a ValueError with the count where the model returns NaN for two images."""
    for spoil in ("probabilities", "dropout", "joint samples", "features"):
        classifier, calls = spy_on(subject, case, spoil)
        try:
            subject.query(classifier, case.pool, case.k)
        except Exception as error:
            if spoil in calls and isinstance(error, ValueError) and re.search(r"\b2\b", str(error)):
                continue
            problem = f"gave {type(error).__name__}: {error}"
        else:
            if spoil not in calls:
                continue
            problem = "went unnoticed"
        raise StrategyCheckError(
            name,
            f"NaN in 2 of {case.n} rows ({spoil}) {problem}. Expected a ValueError with the number "
            "of rows that are not finite.",
        )


def _query_twice(subject: Subject, case: Case, name: str, pool: np.ndarray) -> None:
    """Require that two queries with one random_state agree."""
    classifier = subject.classifier(case)
    first = subject.answer(name, classifier, pool, case.k, case.seed)
    second = subject.answer(name, classifier, pool, case.k, case.seed)
    if not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)):
        raise StrategyCheckError(
            name,
            f"random_state={case.seed} gave {first[0].tolist()}, then {second[0].tolist()}. Draw "
            "from check_random_state(random_state) alone, ties too.",
        )


def _expect_error(
    subject: Subject,
    name: str,
    errors: tuple[type[Exception], ...],
    classifier: Any,
    pool: np.ndarray,
    k: int,
    word: str = "",
) -> None:
    """Require that the query raises one of `errors`, with `word` in its message."""
    expected = " or ".join(error.__name__ for error in errors)
    request = f"for n_instances={k} of a pool of {len(pool)}"
    try:
        subject.query(classifier, pool, k)
    except errors as error:
        if word not in str(error):
            raise StrategyCheckError(
                name, f"the error's message must contain {word!r}; it is: {error}"
            ) from error
    except Exception as error:
        raise StrategyCheckError(
            name, f"expected {expected} {request}; got {type(error).__name__}: {error}"
        ) from error
    else:
        raise StrategyCheckError(name, f"expected {expected} {request}; got an answer.")
