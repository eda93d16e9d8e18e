"""Strategies that break the contract, one rule each, and the check that has to catch them."""

from __future__ import annotations

import random as python_random

import numpy as np

from al_tf.seeding import check_random_state
from al_tf.strategies._select import check_pool, estimator_of, features, predict_proba, top_k
from al_tf.strategies.committee import vote_entropy
from al_tf.strategies.uncertainty import entropy, entropy_score

BROKEN = {}


def breaks(check, **stated):
    """Enter a strategy into BROKEN with the check it fails and what it states about itself."""

    def enter(strategy):
        BROKEN[strategy.__name__] = (strategy, check, stated)
        return strategy

    return enter


def _good(classifier, X, k, rng):
    return entropy(classifier, X, k, random_state=rng)


@breaks("answer")
def returns_indices_alone(classifier, X, n_instances=1, *, random_state=None):
    return _good(classifier, X, n_instances, random_state)[0]


@breaks("answer")
def returns_float_indices(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return indices.astype(float), scores


@breaks("answer")
def returns_a_mask(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return np.ones(len(indices), dtype=bool), scores


@breaks("answer")
def returns_infinite_scores(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return indices, np.full(len(scores), np.inf)


@breaks("answer")
def raises_on_colour_images(classifier, X, n_instances=1, *, random_state=None):
    _n, _height, _width = X.shape
    return _good(classifier, X, n_instances, random_state)


@breaks("unique")
def repeats_the_best(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return np.repeat(indices[:1], n_instances), np.repeat(scores[:1], n_instances)


@breaks("in range")
def counts_from_the_end(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return indices - len(X), scores


@breaks("exactly n_instances")
def returns_one_too_few(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return indices[: n_instances - 1], scores[: n_instances - 1]


@breaks("exactly n_instances")
def returns_all_scores(classifier, X, n_instances=1, *, random_state=None):
    indices, _ = _good(classifier, X, n_instances, random_state)
    return indices, entropy_score(predict_proba(classifier, X))[: n_instances + 1]


@breaks("descending scores")
def best_last(classifier, X, n_instances=1, *, random_state=None):
    indices, scores = _good(classifier, X, n_instances, random_state)
    return indices[::-1], scores[::-1]


@breaks("defaults")
def needs_a_random_state(classifier, X, n_instances=1, *, random_state):
    return _good(classifier, X, n_instances, random_state)


@breaks("defaults")
def needs_a_batch_size(classifier, X, n_instances, *, random_state=None):
    return _good(classifier, X, n_instances, random_state)


@breaks("defaults")
def takes_only_integer_seeds(classifier, X, n_instances=1, *, random_state=None):
    rng = None if random_state is None else np.random.default_rng(int(random_state))
    return _good(classifier, X, n_instances, rng)


@breaks("k = 1")
def needs_two_images(classifier, X, n_instances=1, *, random_state=None):
    if len(X) == 1:
        raise IndexError("kth(=1) out of bounds (1)")
    return _good(classifier, X, n_instances, random_state)


@breaks("k = n")
def never_takes_the_whole_pool(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    scores = entropy_score(predict_proba(classifier, X))
    if n_instances == len(X) > 1:
        raise IndexError("kth out of bounds")
    return top_k(scores, n_instances, random_state)


@breaks("impossible requests")
def truncates_in_silence(classifier, X, n_instances=1, *, random_state=None):
    return _good(classifier, X, min(n_instances, len(X)), random_state)


@breaks("impossible requests")
def lets_an_index_error_escape(classifier, X, n_instances=1, *, random_state=None):
    if len(X) == 0:
        raise IndexError("index 0 is out of bounds for axis 0 with size 0")
    return _good(classifier, X, n_instances, random_state)


@breaks("impossible requests")
def takes_zero_for_one(classifier, X, n_instances=1, *, random_state=None):
    return _good(classifier, X, n_instances or 1, random_state)


@breaks("same seed, same answer", stochastic=True)
def ignores_the_seed(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    return top_k(np.random.default_rng().random(len(X)), n_instances)


@breaks("pool order")
def draws_without_saying_so(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    return top_k(rng.random(len(X)), n_instances, rng)


@breaks("pool order")
def starts_from_the_first(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    rows = features(classifier, X)
    return top_k(((rows - rows[0]) ** 2).sum(axis=1), n_instances, random_state)


@breaks("pool order", sequential=True)
def is_greedy_from_the_first(classifier, X, n_instances=1, *, random_state=None):
    return starts_from_the_first(classifier, X, n_instances, random_state=random_state)


@breaks("place in the pool", stochastic=True)
def prefers_the_front(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    front = np.arange(len(X)) < len(X) // 2
    return top_k(rng.random(len(X)) * np.where(front, 1.0, 0.6), n_instances, rng)


@breaks("ties")
def breaks_ties_by_place(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    scores = entropy_score(predict_proba(classifier, X))
    chosen = np.argsort(-scores, kind="stable")[:n_instances]
    return chosen, scores[chosen]


@breaks("duplicates")
def draws_ties_afresh(classifier, X, n_instances=1, *, random_state=None):
    return _good(classifier, X, n_instances, np.random.default_rng())


@breaks("inputs untouched")
def scales_the_pool_in_place(classifier, X, n_instances=1, *, random_state=None):
    answer = _good(classifier, X, n_instances, random_state)
    if X.flags.writeable:
        X //= 2
    return answer


@breaks("inputs untouched")
def moves_a_weight(classifier, X, n_instances=1, *, random_state=None):
    answer = _good(classifier, X, n_instances, random_state)
    estimator_of(classifier).centres_[0, 0] += 1e-9
    return answer


@breaks("inputs untouched")
def shuffles_the_labeled_set(classifier, X, n_instances=1, *, random_state=None):
    answer = _good(classifier, X, n_instances, random_state)
    labeled = getattr(classifier, "X_training", None)
    if labeled is not None:
        labeled[:] = labeled[::-1].copy()
    return answer


@breaks("global generators untouched")
def draws_from_numpys_global_generator(classifier, X, n_instances=1, *, random_state=None):
    np.random.rand()  # noqa: NPY002
    return _good(classifier, X, n_instances, random_state)


@breaks("global generators untouched")
def seeds_pythons_global_generator(classifier, X, n_instances=1, *, random_state=None):
    python_random.seed(0)
    return _good(classifier, X, n_instances, random_state)


@breaks("kinds of pool")
def writes_into_the_pool_and_back(classifier, X, n_instances=1, *, random_state=None):
    if len(X):
        X[0] = X[0]  # refused by a read-only map
    return _good(classifier, X, n_instances, random_state)


@breaks("kinds of pool")
def reads_the_buffer_as_if_contiguous(classifier, X, n_instances=1, *, random_state=None):
    if len(X) and not X.flags.c_contiguous:
        X = np.lib.stride_tricks.as_strided(X, strides=np.empty(X.shape, X.dtype).strides)
    return _good(classifier, X, n_instances, random_state)


@breaks("duplicates")
def needs_distinct_images(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    n_distinct = len(np.unique(np.asarray(X).reshape(len(X), -1), axis=0))
    if len(X) > 4 and n_distinct < len(X):
        raise np.linalg.LinAlgError("Singular matrix")
    return _good(classifier, X, n_instances, random_state)


@breaks("missing classes")
def needs_a_second_class(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    ordered = np.sort(predict_proba(classifier, X), axis=1)
    return top_k(ordered[:, -2] - ordered[:, -1], n_instances, random_state)


@breaks("bare estimator")
def needs_a_learner(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    return _good(classifier.estimator, X, n_instances, random_state)


@breaks("bare estimator", needs=("probabilities", "labeled set"))
def does_not_say_what_it_lacks(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    if not hasattr(classifier, "X_training"):
        raise TypeError("unsupported argument")
    return _good(classifier, X, n_instances, random_state)


@breaks("bare estimator", needs=("committee",))
def takes_anything_for_a_committee(classifier, X, n_instances=1, *, random_state=None):
    if hasattr(classifier, "vote"):
        return vote_entropy(classifier, X, n_instances, random_state=random_state)
    return _good(classifier, X, n_instances, random_state)


@breaks("stated needs", needs=("features",))
def asks_for_more_than_it_states(classifier, X, n_instances=1, *, random_state=None):
    return _good(classifier, X, n_instances, random_state)


@breaks("NaN")
def mends_nan_in_silence(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    proba = np.nan_to_num(classifier.predict_proba(X), nan=0.5)
    return top_k(-proba.max(axis=1), n_instances, random_state)


@breaks("NaN")
def does_not_count_nan(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    proba = classifier.predict_proba(X)
    if np.isnan(proba).any():
        raise ValueError("Input contains NaN.")
    return top_k(-proba.max(axis=1), n_instances, random_state)


@breaks("NaN", needs=("features",))
def sorts_nan_distances(classifier, X, n_instances=1, *, random_state=None):
    check_pool(X, n_instances)
    norms = np.linalg.norm(estimator_of(classifier).transform(X), axis=1)
    return top_k(np.nan_to_num(norms), n_instances, random_state)
