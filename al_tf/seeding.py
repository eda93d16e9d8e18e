"""Named random streams: one master seed, one independent generator per purpose.

``stream(seed, "pool")`` and ``stream(seed, "initial")`` are independent, so adding a draw in one
place changes no number in another.
"""

from __future__ import annotations

import hashlib
import numbers
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

RandomState = int | np.integer | np.random.Generator | np.random.RandomState | None


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to `seed` and a purpose.

    Parameters
    ----------
    seed : int
        Master seed, 0 or larger.
    *names : str or int
        The purpose, for example ``"pool"`` or ``"query", 3``.

    Returns
    -------
    numpy.random.Generator
        The same for the same arguments in every process and on every machine.

    Examples
    --------
    >>> from al_tf.seeding import stream
    >>> stream(0, "pool").integers(100, size=3).tolist()
    [28, 30, 45]
    >>> stream(0, "initial").integers(100, size=3).tolist()
    [19, 21, 31]
    """
    return np.random.default_rng(_seed_sequence(seed, *names))


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a seed in ``[0, 2**31)`` for code that takes only integers; see `stream`.

    Examples
    --------
    >>> from al_tf.seeding import derive_seed
    >>> derive_seed(0, "weights", 3)
    1909901706
    """
    return int(_seed_sequence(seed, *names).generate_state(1, np.uint32)[0] >> 1)


def _seed_sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"A seed is an integer of 0 or more; got {seed!r}.")
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4")
    return np.random.SeedSequence([int(seed), *map(int, words)])


def check_random_state(random_state: RandomState) -> np.random.Generator:
    """Turn what callers pass as ``random_state`` into a generator.

    Parameters
    ----------
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        ``None`` gives a generator seeded by the operating system; a Generator is used as it
        is; a legacy RandomState is drawn from once, for a seed.

    Returns
    -------
    numpy.random.Generator
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, numbers.Integral) and random_state >= 0:
        return np.random.default_rng(int(random_state))
    raise ValueError(
        "random_state must be None, an integer of 0 or more, a numpy Generator or a "
        f"RandomState; got {random_state!r}."
    )


@contextmanager
def keras_seed(seed: int) -> Iterator[None]:
    """Make whatever Keras seeds by default inside this block follow from `seed`.

    Keras draws the default seeds of initialisers and dropout layers from Python's global
    generator when they are made. Its state is put back afterwards, and numpy's global
    generator is not touched (`keras.utils.set_random_seed` would reset both).
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
