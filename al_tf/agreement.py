"""Agreement between two sets of labels, and over how many models it is averaged."""

from __future__ import annotations

import numpy as np

KAPPA_WINDOW = 3
"""Number of models whose agreement with the one before is averaged before a run may stop."""


def cohen_kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Return Cohen's kappa of two label vectors; 1 where both are the same constant.

    Parameters
    ----------
    a, b : ndarray, shape (n,)
        Labels of the same n ≥ 1 images, from two models or two annotators.

    Returns
    -------
    float
        At most 1; 0 is the agreement expected by chance.

    References
    ----------
    Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20, 1960.

    Examples
    --------
    >>> import numpy as np
    >>> cohen_kappa(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
    0.5
    """
    from sklearn.metrics import cohen_kappa_score

    if len(np.union1d(a, b)) == 1:  # chance alone agrees as well: 0 / 0
        return 1.0
    return float(cohen_kappa_score(a, b))
