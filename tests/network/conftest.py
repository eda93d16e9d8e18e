import numpy as np
import pytest


@pytest.fixture(scope="session")
def shapes_data():
    """Grey 8 × 8 images of three easy classes: a horizontal bar, a vertical bar, a square."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=240)
    X = rng.integers(0, 60, size=(240, 8, 8)).astype(np.uint8)
    for image, label, at in zip(X, y, rng.integers(1, 6, size=240), strict=True):
        if label == 0:
            image[at : at + 2, :] += 180
        elif label == 1:
            image[:, at : at + 2] += 180
        else:
            image[2:6, 2:6] += 180
    return X, y


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory):
    """Keep features in a folder of these tests, not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AL_TF_CACHE_DIR", str(tmp_path_factory.mktemp("user_cache")))
        yield
