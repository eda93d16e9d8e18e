"""A test set drawn class by class, whole groups of related images at a time."""

from __future__ import annotations

import numpy as np


def choose_test(
    labels: np.ndarray,
    fraction: float,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Choose about `fraction` of each class for testing.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Class of each image.
    fraction : float
        Part of each class wanted in the test set, above 0 and below 1.
    rng : numpy.random.Generator
        Draws which groups.
    groups : ndarray of int, shape (n,), optional
        Images of one group (shots of the same object) stay on one side, so that no test image
        has a near-copy in the pool. Each image is a group of its own where this is not given.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for test images. Every class that has two groups or more is on both sides; a class
        with one group stays in the pool.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"The test fraction must lie between 0 and 1; got {fraction!r}.")
    if groups is None:
        groups = np.arange(len(labels))
    _, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((group_of.max(initial=-1) + 1, labels.max(initial=-1) + 1), dtype=int)
    np.add.at(counts, (group_of, labels), 1)  # (groups, K)
    main_class = counts.argmax(axis=1)
    chosen = np.zeros(len(counts), dtype=bool)
    for k in range(counts.shape[1]):
        members = rng.permutation(np.flatnonzero(main_class == k))
        if members.size < 2:
            continue
        sizes = counts[members].sum(axis=1)
        # a group goes to the test set while that brings the total nearer to the fraction wanted
        tested = np.cumsum(sizes) - sizes / 2 <= fraction * sizes.sum()
        tested[0], tested[-1] = True, False
        chosen[members[tested]] = True
    return chosen[group_of]
