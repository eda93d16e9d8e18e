"""An order of the images that does not depend on how the pool is ordered.

A batch strategy that draws at random would choose other images from a reordered pool, although
the images are the same. So such strategies first sort the rows by their content, and draw from
the sorted rows.
"""

from __future__ import annotations

import numpy as np

from ..geometry import project
from ..seeding import RandomState, check_random_state, stream


def canonical_order(features: np.ndarray, random_state: RandomState = None) -> np.ndarray:
    """Return the indices that sort rows by a fixed linear projection of them.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    random_state : RandomState
        Orders equal rows.

    Returns
    -------
    ndarray, shape (n,), intp
        ``features[order]`` is the same for every order of the rows.
    """
    weights = np.asarray(stream(0, "canonical order").standard_normal(features.shape[1]))
    key = project(features, weights)
    order = np.argsort(key)
    if (np.diff(key[order]) > 0).all():
        return order
    tie_break = check_random_state(random_state).random(len(key))
    return np.lexsort((tie_break, key))
