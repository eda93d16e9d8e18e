"""Networks in the shapes that people build: each works as it should, or one sentence refuses it."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.base import clone

from al_tf import KerasImageClassifier

pytestmark = pytest.mark.keras

SHAPE, K = (8, 8, 1), 3


@pytest.fixture(scope="module")
def data(request):
    rng = np.random.default_rng(0)
    y = np.arange(48) % K
    X = rng.integers(0, 60, size=(48, *SHAPE)).astype(np.uint8)
    X[y == 1, :4] += 150
    X[y == 2, :, :4] += 150
    return X, y


def compiled(model, loss="categorical_crossentropy", optimizer=None):
    model.compile(optimizer or keras.optimizers.Adam(1e-2), loss)
    return model


def body(inputs=SHAPE, *, name="body"):
    return keras.Sequential(
        [
            keras.Input(inputs),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
        ],
        name=name,
    )


def head(n):
    return [layers.Dense(6, activation="relu"), layers.Dense(n, activation="softmax")]


def sequential(shape, n):
    return compiled(keras.Sequential([keras.Input(shape), *body(shape).layers, *head(n)]))


def functional(shape, n):
    inputs = keras.Input(shape)
    x = body(shape)(inputs)
    for layer in head(n):
        x = layer(x)
    return compiled(keras.Model(inputs, x))


def separate_softmax(shape, n):
    stack = [*body(shape).layers, layers.Dense(6, "relu"), layers.Dense(n), layers.Softmax()]
    return compiled(keras.Sequential([keras.Input(shape), *stack]))


def transfer(shape, n):
    """A pretrained base model as one layer, in inference mode, under a new head."""
    base = body(shape, name="base")
    base.trainable = False
    inputs = keras.Input(shape)
    x = base(layers.Rescaling(2.0, -1.0)(inputs), training=False)
    x = layers.Dropout(0.5)(layers.Dense(6, "relu")(x))
    return compiled(keras.Model(inputs, layers.Dense(n, "softmax")(x)))


def wrapped_functional(shape, n):
    """A whole network as one layer, with augmentation in front of it."""
    inputs = keras.Input(shape)
    x = layers.RandomFlip("horizontal")(inputs)
    return compiled(keras.Model(inputs, functional(shape, n)(x)))


def wrapped_sequential(shape, n):
    inner = sequential(shape, n)
    front = layers.RandomTranslation(0.3, 0.3)
    return compiled(keras.Sequential([keras.Input(shape), front, inner]))


def wrapped_twice(shape, n):
    return compiled(keras.Sequential([keras.Input(shape), wrapped_functional(shape, n)]))


class Subclassed(keras.Model):
    def __init__(self, shape, n):
        super().__init__()
        self.body = body(shape)
        self.hidden, self.out = head(n)

    def call(self, x, training=False):
        return self.out(self.hidden(self.body(x, training=training)))


def subclassed(shape, n):
    return compiled(Subclassed(shape, n))


KINDS = [
    sequential, functional, separate_softmax, transfer, wrapped_functional, wrapped_sequential,
    wrapped_twice, subclassed,
]  # fmt: skip


def last_dense(network):
    every = network._flatten_layers(include_self=False)
    return next(x for x in every if isinstance(x, layers.Dense) and x.units == K)


def classifier_of(build, **changes):
    return KerasImageClassifier(
        build, **{"epochs": 2, "random_state": 0, "batch_size": 16} | changes
    )


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def build(request):
    return request.param


class TestEveryKind:
    def test_features_are_what_the_last_dense_layer_takes_in(self, build, data):
        classifier = classifier_of(build).fit(*data)
        proba, features = classifier.predict_with_features(data[0])
        kernel, bias = map(np.asarray, last_dense(classifier._engine().model).get_weights())
        assert features.shape == (48, 6)
        scores = np.exp(features @ kernel + bias)
        np.testing.assert_allclose(scores / scores.sum(1, keepdims=True), proba, atol=1e-5)

    def test_sampling_switches_on_dropout_and_nothing_else(self, build, data):
        """Without its dropout a sample is the prediction: no batch statistics, no augmentation."""
        classifier = classifier_of(build).fit(*data)
        engine, proba = classifier._engine(), classifier.predict_proba(data[0])
        before = [w.copy() for w in classifier._state.variables]
        samples = classifier.sample_proba(data[0], 3, random_state=0)
        assert samples.std(axis=0).max() > 1e-3
        np.testing.assert_array_equal(classifier.predict_proba(data[0]), proba)
        for old, new in zip(before, classifier._state.variables, strict=True):
            np.testing.assert_array_equal(old, new)
        dropout = [x for x in engine.model._flatten_layers() if isinstance(x, layers.Dropout)]
        rates = [layer.rate for layer in dropout]
        engine._compile()
        for layer in dropout:
            layer.rate = 1e-7
        try:
            without = [engine.forward(data[0], sample=True)[0] for _ in range(2)]
        finally:
            engine._compile()
            for layer, rate in zip(dropout, rates, strict=True):
                layer.rate = rate
        for sample in without:
            np.testing.assert_allclose(sample, proba, atol=1e-4)

    def test_a_fit_from_scratch_starts_from_scratch(self, build, data):
        classifier = classifier_of(build).fit(*data)
        first = classifier.predict_proba(data[0])
        classifier.set_params(random_state=1).fit(*data)
        assert not np.allclose(classifier.predict_proba(data[0]), first, atol=1e-4)
        again = classifier.set_params(random_state=0).fit(*data).predict_proba(data[0])
        np.testing.assert_allclose(again, first, atol=1e-5)

    def test_the_exported_network_predicts_the_same_and_stays(self, build, data):
        classifier = classifier_of(build).fit(*data)
        exported = classifier.to_keras()
        expected = classifier.predict_proba(data[0])
        classifier.set_params(random_state=3).fit(*data)
        found = exported.predict(data[0], verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-4)


SHARED = {}


def the_same_model(shape, n):
    return SHARED.setdefault("model", functional(shape, n))


def a_new_head_on_one_base(shape, n):
    base = SHARED.setdefault("base", body(shape))
    return compiled(keras.Sequential([keras.Input(shape), base, *head(n)]))


class TestSharedLayers:
    @pytest.mark.parametrize("build", [the_same_model, a_new_head_on_one_base, "a model"])
    def test_one_classifier_changes_neither_another_nor_the_shared_layers(self, build, data):
        SHARED.clear()
        X, y = data
        if build == "a model":
            shared = build = functional(SHAPE, K)
        else:
            build(SHAPE, K)
            shared = SHARED.get("model") or SHARED["base"]
        original = [w.copy() for w in shared.get_weights()]
        a = classifier_of(build).fit(X, y)
        exported, proba = a.to_keras(), a.predict_proba(X)
        b = classifier_of(build, random_state=1).fit(X, (y + 1) % K)
        np.testing.assert_array_equal(a.predict_proba(X), proba)
        np.testing.assert_allclose(exported.predict(X, verbose=0), proba, atol=1e-5)
        for before, after in zip(original, shared.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        b.set_params(random_state=0).fit(X, y)  # from scratch, whatever was trained meanwhile
        np.testing.assert_allclose(b.predict_proba(X), proba, atol=1e-5)

    @pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # of Keras
    def test_a_model_is_cloned_and_pickled_as_a_parameter(self, data):
        classifier = classifier_of(functional(SHAPE, K)).fit(*data)
        expected = classifier.predict_proba(data[0])
        for other in (clone(classifier).fit(*data), pickle.loads(pickle.dumps(classifier))):
            np.testing.assert_allclose(other.predict_proba(data[0]), expected, atol=1e-5)

    def test_layers_that_cannot_be_copied_are_refused(self, data):
        model = subclassed(SHAPE, K)
        with pytest.raises(TypeError, match=r"cannot be copied.*build all layers anew"):
            classifier_of(model).fit(*data)

    def test_an_exported_network_is_taken_up_again(self, data, tmp_path):
        first = classifier_of(functional).fit(*data)
        first.to_keras().save(tmp_path / "model.keras")

        def load(shape, n):
            return compiled(keras.models.load_model(tmp_path / "model.keras"))

        classifier = classifier_of(load, epochs=1, rescale=False).fit(*data)
        start = classifier._engine().fresh_state(0)
        classifier._engine().load(start)
        found = classifier._engine().forward(data[0])[0]
        np.testing.assert_allclose(found, first.predict_proba(data[0]), atol=1e-5)
        assert classifier.transform(data[0]).shape == (48, 6)


def two_inputs(shape, n):
    a, b = keras.Input(shape), keras.Input(shape)
    merged = layers.Flatten()(layers.add([a, b]))
    return compiled(keras.Model([a, b], layers.Dense(n, "softmax")(merged)))


def two_outputs(shape, n):
    inputs = keras.Input(shape)
    x = layers.Flatten()(inputs)
    outputs = [layers.Dense(n, "softmax")(x) for _ in range(2)]
    return compiled(keras.Model(inputs, outputs))


def ending_in(layer, loss):
    def build(shape, n):
        return compiled(keras.Sequential([keras.Input(shape), layers.Flatten(), layer(n)]), loss)

    return build


def maps(shape, n):
    return compiled(keras.Sequential([keras.Input(shape), layers.Conv2D(n, 1)]))


def of_other_images(shape, n):
    return functional((5, 5, 2), n)


def not_compiled(shape, n):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(n, "softmax")])


class TestRefused:
    @pytest.mark.parametrize(
        ("build", "error", "message"),
        [
            (two_inputs, TypeError, "2 inputs, but a classifier of images gives it one"),
            (two_outputs, TypeError, r"2 outputs; .*Return keras\.Model\(inputs, probabilities\)"),
            (
                ending_in(lambda n: layers.Dense(1, "sigmoid"), "binary_crossentropy"),
                ValueError,
                r"ends in one unit\. Let it end in Dense\(2, activation='softmax'\)",
            ),
            (
                ending_in(layers.Dense, keras.losses.CategoricalCrossentropy(from_logits=True)),
                ValueError,
                r"must end in a softmax layer\. For logits, add keras\.layers\.Softmax\(\)",
            ),
            (
                ending_in(lambda n: layers.Dense(n, "sigmoid"), "binary_crossentropy"),
                ValueError,
                "do not sum to 1",
            ),
            (
                ending_in(lambda n: layers.Dense(5, "softmax"), "mse"),
                ValueError,
                r"got|\(None, 5\)",
            ),
            (maps, ValueError, "must end in a softmax over 2 classes"),
            (of_other_images, ValueError, r"cannot take images of shape \(8, 8, 1\)"),
            (not_compiled, TypeError, r"without an optimizer\. Call model\.compile"),
            (lambda shape, n: "a model", TypeError, "must return a compiled keras.Model; got str"),
            ("functional", TypeError, r"model_fn must be a function .* or such a model; got str"),
        ],
    )
    def test_in_one_sentence(self, build, error, message, data):
        with pytest.raises(error, match=message):
            classifier_of(build).fit(data[0], data[1] % 2)

    def test_parameters_of_a_model_that_is_built(self, data):
        classifier = classifier_of(functional(SHAPE, K), model_params={"dropout": 0.5})
        with pytest.raises(TypeError, match="model_fn is a model, which takes none"):
            classifier.fit(*data)


def with_objects(shape, n, optimizer, initializer, loss, front):
    dense = layers.Dense(n, "softmax", kernel_initializer=initializer)
    stack = [keras.Input(shape), *front, layers.Flatten(), dense]
    return compiled(keras.Sequential(stack), loss, optimizer)


class TestObjectsInParameters:
    @pytest.fixture
    def classifier(self):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
        params = {
            "optimizer": keras.optimizers.Adam(schedule),
            "initializer": keras.initializers.GlorotUniform(),
            "loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            "front": [layers.Conv2D(2, 3)],
        }
        return classifier_of(with_objects, model_params=params)

    def test_fit_predict_clone_and_pickle(self, classifier, data):
        first = classifier.fit(*data).predict_proba(data[0])
        for other in (
            classifier.fit(*data),
            clone(classifier).fit(*data),
            copy.deepcopy(classifier),
            pickle.loads(pickle.dumps(classifier)),
            pickle.loads(pickle.dumps(clone(classifier))).fit(*data),
        ):
            np.testing.assert_array_equal(other.predict_proba(data[0]), first)

    def test_equal_objects_share_one_network(self, classifier, data):
        other = clone(classifier)
        assert classifier.fit(*data)._engine() is other.fit(*data)._engine()
        other.model_params["optimizer"] = keras.optimizers.Adam(0.5)
        assert classifier._engine() is not other.fit(*data)._engine()

    def test_the_objects_stay_as_they_were(self, classifier, data):
        optimizer = classifier.model_params["optimizer"]
        classifier.fit(*data)
        assert not optimizer.variables or int(np.asarray(optimizer.iterations)) == 0
        assert not classifier.model_params["front"][0].weights


class Focal(keras.losses.Loss):
    def call(self, y_true, y_pred):
        p = keras.ops.sum(y_true * y_pred, axis=-1)
        return -((1 - p) ** 2) * keras.ops.log(p + 1e-7)


def own_sparse(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def own_mean(y_true, y_pred):
    return keras.ops.mean(keras.losses.categorical_crossentropy(y_true, y_pred))


def with_loss(loss):
    return ending_in(lambda n: layers.Dense(n, "softmax"), loss)


class TestLosses:
    def test_those_of_one_kind_train_the_same_under_any_name(self, data):
        fitted = [
            classifier_of(with_loss(loss)).fit(*data).predict_proba(data[0])
            for loss in (
                "categorical_crossentropy",
                "sparse_categorical_crossentropy",
                keras.losses.SparseCategoricalCrossentropy(name="loss"),
                keras.losses.CategoricalCrossentropy(name="sparse"),
                keras.losses.sparse_categorical_crossentropy,
                own_sparse,
                lambda y, p: keras.losses.categorical_crossentropy(y, p),
                own_mean,
            )
        ]
        for other in fitted[1:]:
            np.testing.assert_allclose(other, fitted[0], atol=1e-5)

    def test_label_smoothing_and_focal_loss_are_what_they_are_in_keras(self, data):
        X, y = data
        for loss in (keras.losses.CategoricalCrossentropy(label_smoothing=0.2), Focal()):
            classifier = classifier_of(with_loss(loss), batch_size=48, epochs=1).fit(X, y)
            engine = classifier._engine()
            engine.load(engine.fresh_state(5))
            start, _ = engine.forward(X)
            targets = np.eye(K, dtype=np.float32)[y]
            weights = np.ones((1, 48), np.float32)
            value = engine.train(X[None], y[None], weights)
            engine.owner = None
            np.testing.assert_allclose(value, float(loss(targets, start)), rtol=1e-4)

    @pytest.mark.parametrize(
        ("loss", "error", "message"),
        [
            (
                keras.losses.CategoricalCrossentropy(from_logits=True),
                ValueError,
                r"from_logits=True, but the network must end in a softmax",
            ),
            (
                keras.losses.SparseCategoricalCrossentropy(from_logits=True, name="loss"),
                ValueError,
                r"without from_logits=True",
            ),
            (lambda y, p: p, TypeError, r"takes neither one-hot rows .* values of shape \(6, 3\)"),
        ],
    )
    def test_refused(self, loss, error, message, data):
        with pytest.raises(error, match=message):
            classifier_of(with_loss(loss)).fit(*data)

    def test_a_loss_of_the_whole_batch_cannot_be_weighted(self, data):
        classifier = classifier_of(with_loss(own_mean), class_weight="balanced")
        with pytest.raises(ValueError, match=r"one number for a whole batch.*class_weight"):
            classifier.fit(data[0], np.minimum(data[1], 1))


def rescaling_first(shape, n):
    front = [keras.Input(shape), layers.Rescaling(1 / 255)]
    return compiled(keras.Sequential([*front, *body(shape).layers, *head(n)]))


def rescaling_inside(shape, n):
    inputs = keras.Input(shape)
    base = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 127.5, -1), body(shape)])
    x = base(layers.RandomFlip()(inputs))
    return compiled(keras.Model(inputs, layers.Dense(n, "softmax")(x)))


def preprocess_input(shape, n):
    inputs = keras.Input((8, 8, 3))
    x = keras.applications.mobilenet_v2.preprocess_input(inputs)
    x = layers.Flatten()(layers.Conv2D(2, 3)(x))
    return compiled(keras.Model(inputs, layers.Dense(n, "softmax")(x)))


def normalization(shape, n):
    front = layers.Normalization(mean=120.0, variance=3600.0)
    return compiled(keras.Sequential([keras.Input(shape), front, *body(shape).layers, *head(n)]))


def resized_by_a_matrix(shape, n):
    resize = layers.Dense(1, use_bias=False, kernel_initializer="ones", trainable=False)
    front = [keras.Input(shape), resize, layers.Rescaling(1 / 255)]
    return compiled(keras.Sequential([*front, *body(shape).layers, *head(n)]))


def made_for_unit_images(shape, n):
    """A network on a base model that rescales pixels of 0–255, which are given back to it."""
    front = [keras.Input(shape), layers.Rescaling(255), layers.Rescaling(1 / 127.5, -1)]
    return compiled(keras.Sequential([*front, *body(shape).layers, *head(n)]))


class TestRescaling:
    @pytest.mark.parametrize(
        "build",
        [rescaling_first, rescaling_inside, resized_by_a_matrix, normalization, preprocess_input],
    )
    def test_a_network_that_rescales_gets_pixels_as_they_are_and_it_is_said(self, build, data):
        X, y = data
        X = np.repeat(X, 3, axis=-1) if build is preprocess_input else X
        classifier = classifier_of(build)
        with pytest.warns(
            UserWarning, match=r"rescales images itself \(layer .*not divided by 255"
        ):
            classifier.fit(X, y)
        proba = classifier.predict_proba(X)
        np.testing.assert_allclose(classifier.predict_proba(X.astype(float)), proba, atol=1e-5)
        exported = classifier.to_keras().predict(X, verbose=0)
        np.testing.assert_allclose(exported, proba, atol=1e-5)
        with pytest.raises(ValueError, match=r"fitted on uint8 images, which it sees as .* 0–255"):
            classifier.predict(X / 255)

    @pytest.mark.parametrize(
        "build", [sequential, transfer, wrapped_functional, made_for_unit_images]
    )
    def test_other_networks_get_pixels_divided_by_255(self, build, data, recwarn):
        X, y = data
        classifier = classifier_of(build).fit(X, y)
        assert not [w for w in recwarn if "rescales" in str(w.message)]
        scaled = classifier.predict_proba(X / 255)
        np.testing.assert_allclose(classifier.predict_proba(X), scaled, atol=1e-5)

    def test_the_choice_can_be_made(self, data, recwarn):
        X, y = data
        with_own = classifier_of(rescaling_first, rescale=False).fit(X, y).predict_proba(X)
        twice = classifier_of(rescaling_first, rescale=True).fit(X, y).predict_proba(X)
        raw = classifier_of(sequential, rescale=False).fit(X, y)
        assert not [w for w in recwarn if "rescales" in str(w.message)]
        once = classifier_of(sequential).fit(X, y).predict_proba(X)
        np.testing.assert_allclose(with_own, once, atol=1e-3)
        assert not np.allclose(twice, once, atol=1e-2)
        np.testing.assert_allclose(raw.predict_proba(X), raw.predict_proba(X.astype(float)))


class TestFitArguments:
    def test_epochs_batch_size_and_verbose_hold_for_one_fit(self, data, capsys):
        classifier = classifier_of(sequential)
        assert classifier.fit(*data, epochs=5, batch_size=8, verbose=0).history_["steps"] == 30
        assert (classifier.epochs, classifier.batch_size, classifier.verbose) == (2, 16, 0)
        assert classifier.fit(*data).history_["steps"] == 6
        with pytest.raises(ValueError, match="epochs must be an integer of 1 or more; got 0"):
            classifier.fit(*data, epochs=0)
        assert classifier.epochs == 2

    def test_sample_weight_is_the_weight_of_each_image(self, data):
        X, y = data
        by_class = classifier_of(sequential, class_weight={0: 5.0}).fit(X, y)
        by_image = classifier_of(sequential).fit(X, y, sample_weight=np.where(y == 0, 5.0, 1.0))
        np.testing.assert_array_equal(by_class.predict_proba(X), by_image.predict_proba(X))
        equal = classifier_of(sequential).fit(X, y, sample_weight=[1] * len(y))
        plain = classifier_of(sequential).fit(X, y)
        np.testing.assert_array_equal(equal.predict_proba(X), plain.predict_proba(X))

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([1, 2], "one number for each of 48 images"),
            (np.ones((48, 1)), r"got shape \(48, 1\)"),
            ([-1] * 48, "0 or more"),
            ([np.nan] * 48, "finite numbers"),
            ([0] * 48, "not all zero"),
        ],
    )
    def test_weights_that_are_none_are_refused(self, weights, message, data):
        with pytest.raises(ValueError, match=message):
            classifier_of(sequential).fit(*data, sample_weight=weights)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("callbacks", "callbacks are not called.*set validation_split and patience"),
            ("validation_split", r"parameter of the classifier: set_params\(validation_split"),
            ("validation_data", "validation_split holds out"),
            ("class_weight", "class_weight is a parameter of the classifier"),
            ("shuffle", "shuffled in each pass"),
            ("epoch", "it takes sample_weight, epochs, batch_size, verbose"),
        ],
    )
    def test_other_arguments_are_refused_with_their_place(self, name, message, data):
        with pytest.raises(TypeError, match=f"fit does not take {name}: .*{message}"):
            classifier_of(sequential).fit(*data, **{name: 1})

    def test_teach_passes_them_on(self, data):
        from al_tf import ActiveLearner

        X, y = data
        learner = ActiveLearner(classifier_of(sequential), X_training=X[:24], y_training=y[:24])
        learner.teach(X[24:], y[24:], epochs=1, verbose=0)
        assert learner.estimator.history_["steps"] == 3
        with pytest.raises(TypeError, match="callbacks are not called"):
            learner.teach(X[:2], y[:2], callbacks=[])
        assert len(learner.X_training) == 48


class TestEarlyStopping:
    def test_stops_and_keeps_the_best_weights(self, data):
        X, _ = data
        y = np.random.default_rng(1).permutation(np.arange(len(X)) % K)  # nothing to learn
        classifier = classifier_of(
            sequential, epochs=60, validation_split=0.25, patience=3, batch_size=9
        ).fit(X, y)
        history = classifier.history_
        assert history["n_samples"] == 36
        assert history["steps"] < 36 * 60 // 9
        assert len(history["validation_loss"]) == history["best_pass"] + 3
        assert (
            min(history["validation_loss"]) == history["validation_loss"][history["best_pass"] - 1]
        )
        shorter = classifier_of(
            sequential, epochs=history["best_pass"], validation_split=0.25, batch_size=9
        ).fit(X, y)
        np.testing.assert_array_equal(shorter.predict_proba(X), classifier.predict_proba(X))

    def test_never_before_the_least_number_of_steps(self, data):
        classifier = classifier_of(
            sequential, epochs=1, min_steps=40, validation_split=0.25, patience=1, batch_size=9
        )
        assert classifier.fit(*data).history_["steps"] == 40

    def test_each_class_stays_in_the_labeled_set(self, data):
        y = np.zeros(48, int)
        y[0], y[1:3] = 1, 2
        fitted = classifier_of(sequential, validation_split=0.5).fit(data[0], y)
        assert fitted.history_["n_samples"] == 1 + 1 + 45 - round(0.5 * 45)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"validation_split": 0.1}, "holds out none of 3 images"),
            ({"validation_split": 1.0}, "0 or more and less than 1; got 1.0"),
            ({"patience": 2}, "patience needs a validation loss"),
            ({"validation_split": 0.2, "patience": 0}, "patience must be an integer of 1"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, changes, message, data):
        with pytest.raises(ValueError, match=message):
            classifier_of(sequential, **changes).fit(data[0][:3], data[1][:3])
