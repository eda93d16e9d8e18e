"""What several tests of experiments need."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Return the file of a tiny network that turns images into 6 features."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    body = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    path = tmp_path_factory.mktemp("backbone") / "tiny.keras"
    body.save(path)
    return str(path)
