"""What holds for every kernel: threads, inputs, errors, memory."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from al_tf import geometry
from al_tf.geometry._points import LARGEST_TILE, tile_size
from al_tf.geometry._threads import n_workers, one_blas_thread, ordered_map, scratch

from .naive import rows

KERNELS = {
    "nearest_of_set": lambda X: geometry.nearest_of_set(X, X[::7])[0],
    "distance_to_other_groups": lambda X: geometry.distance_to_other_groups(
        X, np.arange(len(X)) % 3
    ),
    "mean_similarity": geometry.mean_similarity,
    "kde": lambda X: geometry.kde_log_density(X, bandwidth=0.7, leave_one_out=True),
    "k_center": lambda X: geometry.k_center_greedy(X, 50, random_state=0)[0],
    "ball_cover": lambda X: geometry.max_ball_cover(X, 30, 1.0, random_state=0)[0],
    "kernel_cover": lambda X: geometry.max_kernel_cover(X, 30, 1.0, random_state=0)[0],
    "kmeans_plus_plus": lambda X: geometry.kmeans_plus_plus(X, X, 50, random_state=0)[0],
    "kmeans": lambda X: geometry.kmeans(X, 30, seed=0),
    "neighbours": lambda X: geometry.mean_neighbour_distance(X, 5),
    "standardise": geometry.standardise,
}


@pytest.mark.parametrize("name", KERNELS)
def test_no_answer_depends_on_the_number_of_threads(name):
    X = rows(2500, 6)
    with threadpool_limits(1):
        alone = KERNELS[name](X)
    with threadpool_limits(2):
        np.testing.assert_array_equal(KERNELS[name](X), alone)


@pytest.mark.parametrize("name", KERNELS)
def test_inputs_are_left_as_they_were(name):
    X = rows(300, 4)
    X.setflags(write=False)
    KERNELS[name](X)


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"kmeans_plus_plus"}))
def test_rows_that_are_not_finite_are_counted(name):
    X = rows(40, 3)
    X[[4, 9], 1] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 of 40 rows are not finite"):
        KERNELS[name](X)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (4,)])
def test_rows_must_be_a_matrix_with_something_in_it(shape):
    with pytest.raises(ValueError, match="Expected rows of shape"):
        geometry.mean_similarity(np.ones(shape))


@pytest.mark.parametrize("limit", [2**20, 2**24, 2**28, 2**36])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_tiles_of_all_threads_fit_into_the_memory_limit(limit, n_threads):
    with threadpool_limits(n_threads):
        assert n_workers() == n_threads
        side = tile_size(limit)
    assert 32 <= side <= LARGEST_TILE
    assert side == 32 or 16 * n_threads * side**2 <= limit
    assert side == LARGEST_TILE or 16 * n_threads * (side + 1) ** 2 > limit


def test_inside_the_limit_of_blas_kernels_keep_their_threads():
    def blas():
        return {part["num_threads"] for part in threadpool_info() if part["user_api"] == "blas"}

    with threadpool_limits(2):
        with one_blas_thread() as n_threads:
            assert n_threads == n_workers() == 2
            with one_blas_thread() as again:
                assert again == 2
            both = threading.Barrier(2, timeout=10)
            list(ordered_map(lambda task: both.wait(), range(2)))  # one thread would wait for ever
            assert blas() == {1}
        assert n_workers() == 2
        with pytest.raises(KeyError), one_blas_thread():
            raise KeyError
        assert n_workers() == 2


def test_scratch_memory_is_kept_apart_by_name_and_kind_and_grows():
    first = scratch("a", (4, 5), np.float32)
    assert np.shares_memory(first, scratch("a", (2, 3), np.float32))
    assert not np.shares_memory(first, scratch("b", (4, 5), np.float32))
    assert scratch("a", (4, 5), np.float64).dtype == np.float64
    assert scratch("a", (40, 50), np.float32).shape == (40, 50)


def test_few_results_are_held_before_they_are_taken():
    done = []
    with threadpool_limits(2):
        results = ordered_map(lambda task: done.append(task) or task, range(40))
        first = [next(results) for _ in range(3)]
        assert first == [0, 1, 2]
        assert len(done) <= 3 + 2 * 2
        assert list(results) == list(range(3, 40))


def test_a_memory_limit_below_one_mebibyte_is_an_error():
    with pytest.raises(ValueError, match="at least 1 MiB"):
        geometry.mean_similarity(rows(5, 2), memory_limit=1000)


@pytest.mark.parametrize("k", [0, 6])
def test_k_must_fit_the_rows(k):
    for kernel in (
        geometry.k_center_greedy,
        lambda X, k: geometry.kmeans_plus_plus(X, X, k),
        lambda X, k: geometry.kmeans(X, k, seed=0),
        lambda X, k: geometry.max_ball_cover(X, k, 1.0),
        lambda X, k: geometry.max_kernel_cover(X, k, 1.0),
    ):
        with pytest.raises(ValueError, match="k must be from 1 to 5"):
            kernel(rows(5, 2), k)


def test_the_invalid_flag_that_blas_sets_without_cause_is_no_warning():
    def raises_the_flag(task):
        return np.float64(np.inf) - np.float64(task)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(ordered_map(raises_the_flag, [np.inf] * 5 + [0.0]))[-1] == np.inf
