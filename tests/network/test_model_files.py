"""A model file from anywhere: what it names is checked before Keras builds it."""

import contextlib
import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from al_tf.errors import DataCorruptError, DataNotFoundError
from al_tf.network.model_files import CONFIG, MAX_CONFIG, load_network
from al_tf.network.models import build_cnn
from tests.fuzz.damage import alterations

pytestmark = pytest.mark.keras
METADATA, WEIGHTS = "metadata.json", "model.weights.h5"


@pytest.fixture(scope="module")
def network():
    return build_cnn((8, 8), 3, filters=(2,), dense=4, dropout=0.1)


@pytest.fixture
def rewritten(network, tmp_path):
    """Return a function that writes the network with one member of its file changed."""
    network.save(tmp_path / "good.keras")

    def write(change, member=CONFIG):
        with (
            zipfile.ZipFile(tmp_path / "good.keras") as good,
            zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad,
        ):
            for name in good.namelist():
                data = good.read(name)
                bad.writestr(name, change(data) if name == member else data)
        return tmp_path / "bad.keras"

    return write


def in_the_first_layer(value):
    """Return a change that puts `value` in the place of the first layer."""

    def change(data):
        config = json.loads(data)
        config["config"]["layers"][0] = {
            "name": "x",
            "inbound_nodes": [],
            "build_config": {},
        } | value
        return json.dumps(config)

    return change


def test_what_build_cnn_makes_comes_back(network, tmp_path):
    network.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((5, 8, 8))
    found = load_network(tmp_path / "model.keras").predict(images, verbose=0)
    np.testing.assert_array_equal(found, network.predict(images, verbose=0))


def test_so_do_other_networks_of_keras(tmp_path):
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip("horizontal"),
            layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(1e-4)),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, "softmax", kernel_constraint=keras.constraints.MaxNorm(2)),
        ]
    )
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    network.compile(keras.optimizers.SGD(schedule), keras.losses.CategoricalCrossentropy(), ["auc"])
    network.save(tmp_path / "model.keras")
    assert load_network(tmp_path / "model.keras").output_shape == (None, 2)


@pytest.mark.parametrize(
    "value",
    [
        {
            "module": "os",
            "class_name": "function",
            "config": "system",
            "registered_name": "function",
        },
        {"module": "builtins", "class_name": "exec", "config": {}, "registered_name": None},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
        {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "file:///x"}},
        {"module": "keras", "class_name": "config", "config": {}},
        {
            "module": None,
            "class_name": "Anything",
            "config": {},
            "registered_name": "other>Anything",
        },
        {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}},
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "f"}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}},
        {
            "module": "keras.layers",
            "class_name": "StringLookup",
            "config": {"vocabulary": "/etc/passwd"},
        },
        {"module": ["keras.layers"], "class_name": "Dense", "config": {}},
        {"module": "keras.layers", "class_name": {"a": 1}, "config": {}},
    ],
    ids=lambda value: str(value["class_name"]),
)
def test_what_could_run_code_or_read_files_is_refused(value, rewritten):
    with pytest.raises(DataCorruptError, match=r"this model names .* could run code of its own"):
        load_network(rewritten(in_the_first_layer(value)))


def test_an_attack_that_oldest_keras_falls_for_runs_nothing(rewritten, tmp_path):
    """A function in the place of a layer, called while the graph is built (CVE-2025-1550)."""
    proof = tmp_path / "proof"
    attack = {
        "module": "os",
        "class_name": "function",
        "config": "mkdir",
        "registered_name": "function",
        "inbound_nodes": [{"args": [str(proof)], "kwargs": {}}],
    }
    with pytest.raises(DataCorruptError, match=r"names os\.function"):
        load_network(rewritten(in_the_first_layer(attack)))
    assert not proof.exists()


@pytest.mark.parametrize(
    "text", [b"", b"[", b"\xff", b"[" * 100_000, b'{"class_name": "Functional"}']
)
def test_configurations_that_are_none(text, rewritten):
    with pytest.raises(DataCorruptError, match=r"bad\.keras"):
        load_network(rewritten(lambda _: text))


def test_a_configuration_too_long_is_not_read(rewritten):
    with pytest.raises(DataCorruptError, match=r"config\.json is longer than 16,777,216 bytes"):
        load_network(rewritten(lambda _: b" " * (MAX_CONFIG + 1)))


def test_weights_that_unpack_to_more_than_weights_can_are_not_read(network, tmp_path):
    network.save(tmp_path / "bomb.keras")
    with zipfile.ZipFile(tmp_path / "bomb.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.weights.h5", bytes(2 * MAX_CONFIG))
    with pytest.raises(DataCorruptError, match=r"unpacks to 33,\d{3},\d{3} bytes, as no Keras mod"):
        load_network(tmp_path / "bomb.keras")


@pytest.mark.parametrize("missing", ["layers/conv2d", "layers/dense_1", "layers"])
def test_a_network_is_never_half_random(missing, rewritten):
    def without(weights):
        buffer = io.BytesIO(weights)
        with h5py.File(buffer, "r+") as file:
            del file[missing]
        return buffer.getvalue()

    with pytest.raises(DataCorruptError, match=r"bad\.keras: expected a Keras model"):
        load_network(rewritten(without, WEIGHTS))


@pytest.mark.parametrize("member", [CONFIG, METADATA, WEIGHTS])
def test_altered_files_end_in_a_network_or_in_our_error(member, rewritten):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(alterations())
    def attempt(alter):
        path = rewritten(alter, member)
        with contextlib.suppress(DataCorruptError):
            assert isinstance(load_network(path), keras.Model)

    attempt()


def test_a_format_without_names_to_check_is_refused(network, tmp_path):
    """Keras runs code from HDF5 files, and bytes of a ``.keras`` file may follow those of one."""
    network.save(tmp_path / "model.keras")
    (tmp_path / "model.keras").rename(tmp_path / "model.h5")
    with pytest.raises(DataCorruptError, match=r"name ends in \.keras"):
        load_network(tmp_path / "model.h5")


def test_files_that_are_no_model(tmp_path):
    with pytest.raises(DataNotFoundError, match="no such model"):
        load_network(tmp_path / "nothing.keras")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(DataCorruptError, match="expected a Keras model"):
        load_network(tmp_path / "text.keras")
