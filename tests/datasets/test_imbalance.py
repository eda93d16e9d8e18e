import numpy as np
import pytest

from al_tf.datasets import ImageDataset
from al_tf.datasets._imbalance import imbalance_pool, kept_ratios

NAMES = tuple("abcdefghij")


@pytest.fixture
def balanced():
    n = 200 * 10
    images = np.arange(n * 4, dtype=np.uint32).view(np.uint8).reshape(n, 4, 4)  # all different
    return ImageDataset(
        images, np.arange(n) % 10, images[:20], np.arange(20) % 10, NAMES, "balanced", "made up"
    )


def counts(dataset):
    return np.bincount(dataset.y_train, minlength=10)


def test_a_ratio_gives_an_exponential_long_tail(balanced):
    tail = counts(imbalance_pool(balanced, 0.02, seed=0))
    assert tail[0] == 200
    assert tail[-1] == 4
    np.testing.assert_allclose(tail, 200 * 0.02 ** (np.arange(10) / 9), atol=0.5)


def test_only_the_pool_is_thinned(balanced):
    thinned = imbalance_pool(balanced, 0.02, seed=0)
    assert thinned.x_test.tobytes() == balanced.x_test.tobytes()
    assert (thinned.y_test == balanced.y_test).all()


def test_images_keep_their_labels_and_their_order(balanced):
    thinned = imbalance_pool(balanced, 0.1, seed=3)
    place = {image.tobytes(): i for i, image in enumerate(balanced.x_train)}
    origin = [place[image.tobytes()] for image in thinned.x_train]
    assert origin == sorted(set(origin))
    assert (balanced.y_train[origin] == thinned.y_train).all()


def test_fractions_by_class(balanced):
    fractions = np.arange(1, 11) / 10
    for given in (fractions, list(fractions), dict(zip(NAMES, fractions, strict=True))):
        assert (counts(imbalance_pool(balanced, given, seed=0)) == 200 * fractions).all()


def test_a_mapping_keeps_the_classes_it_does_not_name(balanced):
    assert counts(imbalance_pool(balanced, {"b": 0.5, 2: 0.25}, seed=0)).tolist() == [
        200, 100, 50, *[200] * 7,
    ]  # fmt: skip


def test_at_least_one_image_of_a_class_is_kept(balanced):
    assert counts(imbalance_pool(balanced, 1e-9, seed=0)).min() == 1


def test_a_smaller_share_is_a_subset_of_a_larger_one(balanced):
    small, large = (imbalance_pool(balanced, [r] * 10, seed=5) for r in (0.1, 0.3))
    kept = {image.tobytes() for image in large.x_train}
    assert {image.tobytes() for image in small.x_train} < kept


def test_the_seed_decides_and_the_fingerprint_shows_it(balanced):
    first, again, other = (imbalance_pool(balanced, 0.1, seed=s).fingerprint for s in (1, 1, 2))
    assert first == again
    assert len({first, other, balanced.fingerprint}) == 3


def test_the_source_says_what_was_done(balanced):
    assert "pool thinned to 1, 0.5" in imbalance_pool(balanced, {"b": 0.5}, seed=4).source


def test_one_class_alone_has_no_tail():
    assert kept_ratios(0.1, ["only"]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("imbalance", "message"),
    [
        (0, "above 0 and at most 1; got 0"),
        (1.5, "above 0 and at most 1; got 1.5"),
        (float("nan"), "above 0 and at most 1; got nan"),
        (True, "above 0 and at most 1; got True"),
        ("0.1", "must be a float, a mapping of classes to fractions, or 10 fractions"),
        ([0.1, 0.2], "or 10 fractions .* got \\[0.1, 0.2\\]"),
        ([0.5] * 9 + [2], "above 0 and at most 1; got 2"),
        ({"b": 0}, "above 0 and at most 1; got 0"),
        ({"z": 0.1}, "names the class 'z'. Expected names among a, b"),
        ({10: 0.1}, "names the class 10.*indices from 0 to 9"),
    ],
)
def test_impossible_imbalances_are_refused(imbalance, message):
    with pytest.raises(ValueError, match=message):
        kept_ratios(imbalance, NAMES)
