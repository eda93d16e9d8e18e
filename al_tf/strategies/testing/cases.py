"""Generated situations: a pool, a labeled set, a batch size, a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One situation to query in."""

    n: int = 12
    k: int = 3
    shape: tuple[int, ...] = (4, 4)
    dtype: str = "float32"
    n_classes: int = 3
    n_labeled: int = 7
    classes_fixed: bool = True
    seed: int = 0

    def images(self, n: int, stream: int) -> np.ndarray:
        """Return `n` distinct random images, ``(n, *shape)``."""
        rng = np.random.default_rng([self.seed, stream])
        if self.dtype == "uint8":
            return rng.integers(0, 256, size=(n, *self.shape), dtype=np.uint8)
        return rng.random((n, *self.shape)).astype(self.dtype)

    @property
    def pool(self) -> np.ndarray:
        """The pool, a fresh copy."""
        return self.images(self.n, 0)

    @property
    def classes(self) -> np.ndarray:
        """The label set."""
        return np.array(["bolt", "cog", "nail", "rivet"][: self.n_classes])


def case_strategy() -> Any:
    """Return hypothesis' strategy for cases: small pools of all shapes and dtypes."""
    from hypothesis import strategies as st

    sizes = st.integers(2, 14).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1)))
    return st.builds(
        lambda size, **rest: Case(n=size[0], k=size[1], **rest),
        size=sizes,
        shape=st.sampled_from([(4, 4), (3, 4, 3), (9,), (5, 5, 1)]),
        dtype=st.sampled_from(["float32", "uint8", "float64"]),
        n_classes=st.integers(2, 4),
        n_labeled=st.integers(4, 9),
        classes_fixed=st.booleans(),
        seed=st.integers(0, 99),
    )
