"""Resizing is what Pillow and TensorFlow call antialiased bilinear; digests are of the content."""

import numpy as np
import pytest
from PIL import Image

from al_tf.network.pixels import pixel_digests, triangle_filter


@pytest.mark.parametrize(("n", "n_new"), [(1, 7), (7, 1), (28, 96), (96, 28), (100, 33), (5, 5)])
def test_the_filter_is_pillows(n, n_new):
    signal = np.random.default_rng(0).uniform(0, 255, n).astype(np.float32)
    image = Image.fromarray(signal[np.newaxis], mode=None)
    expected = np.asarray(image.resize((n_new, 1), Image.Resampling.BILINEAR))[0]
    np.testing.assert_allclose(signal @ triangle_filter(n, n_new), expected, atol=1e-3)


def test_constant_images_stay_constant():
    for n, n_new in [(3, 50), (50, 3), (427, 224)]:
        np.testing.assert_allclose(triangle_filter(n, n_new).sum(axis=0), 1, atol=1e-6)


def test_digests_are_of_pixels_shape_and_type():
    images = np.arange(2 * 12, dtype=np.uint8).reshape(2, 3, 4)
    one, other = pixel_digests(images)
    assert len(one) == 16
    assert one != other
    assert pixel_digests(images[::-1].copy()) == [other, one]
    assert pixel_digests(images.reshape(2, 4, 3))[0] != one
    assert pixel_digests(images.astype(np.float32))[0] != one
