import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_tf.datasets._split import choose_test


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), min_size=1, max_size=80),
    st.floats(0.05, 0.95),
    st.integers(0, 10),
)
def test_a_group_is_never_on_both_sides_and_the_pool_never_empty(pairs, fraction, seed):
    labels, groups = np.array(pairs).T
    mask = choose_test(labels, fraction, np.random.default_rng(seed), groups)
    assert mask.shape == labels.shape
    assert not set(groups[mask]) & set(groups[~mask])
    assert not mask.all()


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0.05, 0.95))
def test_each_class_gives_its_share(n_first, n_second, fraction):
    labels = np.repeat([0, 1], [n_first, n_second])
    mask = choose_test(labels, fraction, np.random.default_rng(0))
    for k, n in ((0, n_first), (1, n_second)):
        taken = mask[labels == k].sum()
        assert taken in (1, n - 1) or abs(taken - fraction * n) <= 0.5 + 1e-9
        assert 1 <= taken <= n - 1


def test_a_class_with_one_group_stays_in_the_pool():
    mask = choose_test(np.array([0, 0, 0, 1]), 0.5, np.random.default_rng(0))
    assert not mask[3]


def test_the_generator_decides():
    labels = np.zeros(100, dtype=int)
    first, again, other = (choose_test(labels, 0.3, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        choose_test(np.zeros(4, dtype=int), fraction, np.random.default_rng(0))
