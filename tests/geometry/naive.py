"""Rows to test with, and the plain float64 algorithms that kernels are compared with."""

from __future__ import annotations

import numpy as np

SMALL = 2**20  # bytes: many tiles even for few rows


def rows(n, d, seed=0, scale=1.0, offset=0.0):
    return (offset + scale * np.random.default_rng(seed).standard_normal((n, d))).astype(np.float32)


def naive_distances(X, Y):
    return np.sqrt(((X[:, None].astype(float) - Y[None].astype(float)) ** 2).sum(axis=2))


def naive_k_center(X, k, centers):
    X = X.astype(float)
    nearest = naive_distances(X, centers).min(axis=1)
    chosen, values = [], []
    for _ in range(k):
        chosen.append(int(nearest.argmax()))
        values.append(nearest[chosen[-1]])
        nearest = np.minimum(nearest, naive_distances(X, X[chosen[-1:]])[:, 0])
        nearest[chosen] = -1
    return chosen, values
