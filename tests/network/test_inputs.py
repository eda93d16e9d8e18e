"""Images and labels in every form that people have: the same numbers, or one sentence."""

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from PIL import Image

from al_tf import ActiveLearner, Committee, KerasImageClassifier, get_strategy
from al_tf.datasets import LazyImageFolder
from al_tf.image_arrays import ImageSource
from al_tf.network.sources import image_source
from al_tf.strategies import BUILT_IN, strategy_info

from .networks import build_small_cnn

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, size=(36, 8, 8, 3), dtype=np.uint8)
Y = np.arange(36) % 3


class Torch:
    """A stand-in for a PyTorch tensor, which is not installed for the tests."""

    def __init__(self, array):
        self._array, self.shape = array, array.shape

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self._array

    def __len__(self):
        return len(self._array)


def tensor(images, tmp_path):
    return pytest.importorskip("tensorflow").constant(images)


def hdf5(images, tmp_path):
    file = h5py.File(tmp_path / f"{len(list(tmp_path.iterdir()))}.h5", "w")
    return file.create_dataset("images", data=images)


def folder(images, tmp_path):
    place = tmp_path / f"folder{len(list(tmp_path.iterdir()))}"
    place.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(place / f"{i:03}.png")
    return LazyImageFolder(place)


def memory_map(images, tmp_path):
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
    np.save(path, images)
    return np.load(path, mmap_mode="r")


def objects(images, tmp_path):
    array = np.empty(len(images), dtype=object)
    array[:] = list(images)
    return array


FORMS = {
    "array": lambda images, _: images,
    "hdf5": hdf5,
    "zarr": lambda images, _: zarr.array(images),
    "memory map": memory_map,
    "folder": folder,
    "list": lambda images, _: list(images),
    "list of PIL images": lambda images, _: [Image.fromarray(image) for image in images],
    "array of objects": objects,
    "frame": lambda images, _: pd.DataFrame({"image": list(images)}),
    "series": lambda images, _: pd.Series(list(images)),
    "TensorFlow": tensor,
    "PyTorch": lambda images, _: Torch(images),
}


@pytest.fixture(params=FORMS)
def form(request, tmp_path):
    return lambda images: FORMS[request.param](images, tmp_path)


def classifier():
    return KerasImageClassifier(build_small_cnn, epochs=1, random_state=0)


@pytest.fixture(scope="module")
def expected():
    return classifier().fit(X[:12], Y[:12]).predict_proba(X)


class TestForms:
    def test_fit_and_predict_give_the_same_numbers(self, form, expected):
        fitted = classifier().fit(form(X[:12]), Y[:12])
        np.testing.assert_array_equal(fitted.predict_proba(form(X)), expected)
        assert fitted.score(form(X), Y) == np.mean(expected.argmax(axis=1) == Y)

    def test_query_and_teach_give_the_same_choice(self, form):
        answers = []
        for make in (lambda images: images, form):
            learner = ActiveLearner(
                classifier(), get_strategy("margin"), make(X[:12]), Y[:12], random_state=0
            )
            indices, rows = learner.query(make(X[12:]), n_instances=4, random_state=0)
            learner.teach(rows, Y[12:][indices])
            learner.teach(make(X[12:15]), Y[12:15], bootstrap=True)
            answers.append((indices, np.asarray(image_source(rows)), learner.predict_proba(X)))
            assert len(learner.X_training) == 19
        for ours, theirs in zip(*answers, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_rows_come_in_any_order(self, form):
        source = image_source(form(X))
        for rows in ([5, 2, 2, 30], [0], np.arange(36)[::-1]):
            np.testing.assert_array_equal(source[rows], X[rows])
        np.testing.assert_array_equal(source.read_range(3, 7), X[3:7])


OTHER_NEEDS = {"committee", "refits", "joint samples"}  # of another learner, or tested below
STRATEGIES = [n for n in sorted(BUILT_IN) if not OTHER_NEEDS & set(strategy_info(n).needs)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_takes_a_file_and_labels_in_one_column(name, tmp_path):
    strategy = get_strategy(name)
    chosen = []
    for pool, y in ((X[12:], Y[:12]), (hdf5(X[12:], tmp_path), Y[:12, None])):
        network = classifier().set_params(model_params={"dropout": 0.5})
        learner = ActiveLearner(network, strategy, X[:12], y)
        indices, rows = learner.query(pool, n_instances=3, random_state=0)
        np.testing.assert_array_equal(rows, X[12:][indices])
        chosen.append(indices)
    np.testing.assert_array_equal(*chosen)


@pytest.mark.parametrize("name", ["vote_entropy", "consensus_entropy", "max_disagreement"])
def test_a_committee_takes_them_too(name, tmp_path):
    chosen = []
    for pool, y in ((X[12:], Y[:12]), (hdf5(X[12:], tmp_path), Y[:12, None])):
        members = [
            ActiveLearner(classifier().set_params(random_state=i), X_training=X[:12], y_training=y)
            for i in range(2)
        ]
        committee = Committee(members, get_strategy(name))
        indices, rows = committee.query(pool, n_instances=3, random_state=0)
        committee.teach(rows, Y[12:][indices, None])
        chosen.append(indices)
    np.testing.assert_array_equal(*chosen)


def test_expected_error_takes_them_too(tmp_path):
    chosen = []
    for pool, y in ((X[12:], Y[:12]), (hdf5(X[12:], tmp_path), Y[:12, None])):
        learner = ActiveLearner(classifier(), get_strategy("expected_error"), X[:12], y)
        chosen.append(learner.query(pool, n_instances=1, n_candidates=2, random_state=0)[0])
    np.testing.assert_array_equal(*chosen)


def images_of(*shapes):
    return [np.zeros(shape, np.uint8) for shape in shapes]


class TestRefused:
    @pytest.mark.parametrize(
        ("images", "error", "message"),
        [
            (images_of((8, 8), (8, 8), (9, 8)), ValueError, r"2 shapes \(2 of \(8, 8\), 1 of"),
            ("images/", TypeError, r"X is a path .*LazyImageFolder"),
            (pd.Series(["a.png", "b.png"]), TypeError, "series of text.*LazyImageFolder"),
            (
                pd.DataFrame({"image": images_of((8, 8)), "name": ["a"]}),
                ValueError,
                r"images in 'image' and 1 more columns\. Pass .* X\[\['image'\]\]",
            ),
            (Torch(np.zeros((2, 3, 8, 8))), ValueError, r"looks like \(n, C, H, W\).*permute"),
            (iter(X), TypeError, r"something with shape, dtype and indexing; got"),
            ({"a": 1}, TypeError, "got dict"),
            (7, TypeError, "got int"),
        ],
    )
    def test_in_one_sentence(self, images, error, message):
        for use in (lambda: classifier().fit(images, [0]), lambda: image_source(images)):
            with pytest.raises(error, match=message):
                use()

    def test_a_tf_dataset(self):
        dataset = pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices(X).batch(4)
        learner = ActiveLearner(classifier(), X_training=X, y_training=Y)
        for use in (
            lambda: classifier().fit(dataset, Y),
            lambda: learner.query(dataset),
            lambda: learner.teach(dataset, Y),
        ):
            with pytest.raises(TypeError, match=r"tf\.data\.Dataset .*no rows to choose from"):
                use()

    def test_a_source_is_not_copied(self):
        class Counting(ImageSource):
            shape, dtype = X.shape, X.dtype
            reads = 0

            def read(self, rows):
                Counting.reads += len(rows)
                return X[rows]

        classifier().fit(X[:12], Y[:12]).predict(Counting())
        assert Counting.reads == 36


NAMES = np.array(["crack", "fray", "none"])


class TestLabels:
    @pytest.mark.parametrize(
        ("labels", "classes"),
        [
            (Y[:, None], [0, 1, 2]),
            (Y.astype(float), [0.0, 1.0, 2.0]),
            (Y.astype(np.uint8)[:, None], [0, 1, 2]),
            (list(Y), [0, 1, 2]),
            (Y > 0, [False, True]),
            ([bool(y) for y in Y], [False, True]),
            (NAMES[Y], list(NAMES)),
            (NAMES[Y].astype(object), list(NAMES)),
            (pd.Series(NAMES[Y]), list(NAMES)),
            (pd.Series(NAMES[Y], dtype="category"), list(NAMES)),
            (pd.Categorical(NAMES[Y], categories=[*NAMES, "unused"]), list(NAMES)),
            (pd.Series(Y, dtype="Int64"), [0, 1, 2]),
            (np.array(list(Y), dtype=object), [0, 1, 2]),
            (Torch(Y), [0, 1, 2]),
        ],
    )
    @pytest.mark.filterwarnings("ignore:A column-vector y was passed")
    def test_every_form_is_understood(self, labels, classes, expected):
        learner = ActiveLearner(classifier(), get_strategy("entropy"), X, labels)
        assert learner.estimator.classes_.tolist() == classes
        new = labels[:6] if not isinstance(labels, Torch) else Torch(Y[:6])
        learner.teach(X[:6], new)
        assert len(learner.y_training) == 42
        assert set(learner.predict(X).tolist()) <= set(classes)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (
                ["crack", None, "fray", None],
                r"2 missing labels \(None or NaN\), the first in row 1",
            ),
            (np.array(["crack", "fray", float("nan"), "x"], object), "1 missing labels.* row 2"),
            ([0.0, 1.0, np.nan, 1.0], "NaN"),
            (pd.Series(["a", "b", None, "a"]), "missing labels"),
            (pd.Categorical(["a", "b", None, "a"]), "missing labels"),
            (pd.Series([0, 1, None, 1], dtype="Int64"), "NaN"),
            (np.array(["a", 1, "b", 2], object), r"mixes text with int\. Give all labels one type"),
            ([0.5, 1.5, 2.5, 0.5], "Unknown label type: continuous"),
        ],
    )
    def test_missing_and_mixed_labels_are_refused(self, labels, message):
        learner = ActiveLearner(classifier(), get_strategy("entropy"))
        for use in (classifier().fit, learner.teach):
            with pytest.raises(ValueError, match=message):
                use(X[:4], labels)
        assert learner.X_training is None

    def test_floats_are_the_integers_of_classes(self):
        fitted = KerasImageClassifier(build_small_cnn, classes=range(4), epochs=1)
        assert set(fitted.fit(X, Y.astype(float)).predict(X)) <= {0, 1, 2, 3}
