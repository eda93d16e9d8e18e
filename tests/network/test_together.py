"""Many fits as one, on JAX: each ends as its own fit would."""

import keras
import numpy as np
import pytest

from al_tf import KerasImageClassifier
from al_tf.network import together
from al_tf.network.together import fit_together

from .networks import build_mlp, build_small_cnn

IS_JAX = keras.backend.backend() == "jax"
on_jax = pytest.mark.skipif(
    not IS_JAX, reason="SKIPPED: vectorised training needs KERAS_BACKEND=jax (make test-jax)"
)
SIZES = (40, 97, 16, 60)  # steps: 80, 122, 80, 80


def classifier(seed, model_fn=build_small_cnn, params=None, **changes):
    settings = {"classes": range(3), "epochs": 20, "batch_size": 16, "min_steps": 80}
    return KerasImageClassifier(
        model_fn, model_params=params, random_state=seed, **{**settings, **changes}
    )


def labeled_sets(y, sizes=SIZES):
    rows = [np.random.default_rng(n).choice(len(y), n, replace=False) for n in sizes]
    return rows, [y[r] for r in rows]


def assert_alike(one, other, X, tolerance=1e-5):
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=tolerance)
    assert one.history_["steps"] == other.history_["steps"]
    assert one.history_["n_samples"] == other.history_["n_samples"]
    np.testing.assert_allclose(one.history_["loss"], other.history_["loss"], atol=tolerance)


@on_jax
@pytest.mark.parametrize(
    ("model_fn", "params", "changes"),
    [
        (build_small_cnn, {"dropout": 0.25}, {"class_weight": "balanced"}),
        (build_mlp, {"loss": "sparse_categorical_crossentropy"}, {}),
    ],
    ids=["CNN with dropout and class weights", "sparse loss"],
)
def test_each_ends_as_its_own_fit(model_fn, params, changes, shapes_data, as_on_a_gpu):
    X, y = shapes_data
    rows, answers = labeled_sets(y)
    alone = [classifier(seed, model_fn, params, **changes) for seed in range(len(rows))]
    for one, run, labels in zip(alone, rows, answers, strict=True):
        one.fit(X[run], labels)
    many = [classifier(seed, model_fn, params, **changes) for seed in range(len(rows))]
    assert fit_together(many, X, rows, answers) == [None] * len(rows)
    assert [one.history_["steps"] for one in many] == [80, 122, 80, 80]
    for one, other in zip(alone, many, strict=True):
        assert_alike(one, other, X)
    assert not np.allclose(many[0].predict_proba(X), many[1].predict_proba(X), atol=1e-2)


@on_jax
def test_fits_that_go_on_from_the_last_one_do_so(shapes_data, as_on_a_gpu):
    X, y = shapes_data
    (rows, more), (answers, more_answers) = labeled_sets(y, (16, 40))
    for mode in ("warm", "shrink_perturb"):
        alone, many = (classifier(3, fit_mode=mode, min_steps=30, epochs=1) for _ in range(2))
        alone.fit(X[rows], answers).fit(X[more], more_answers)
        other = classifier(4, fit_mode=mode, min_steps=30, epochs=1)
        for run, labels in ((rows, answers), (more, more_answers)):
            fit_together([many, other], X, [run, run], [labels, labels])
        assert_alike(alone, many, X)


@on_jax
def test_one_compilation_serves_labeled_sets_that_grow(shapes_data):
    X, y = shapes_data
    many = [classifier(seed, build_mlp, {"units": 7}) for seed in range(3)]
    for n in (20, 21, 22):
        rows, answers = labeled_sets(y, (n, n, n))
        fit_together(many, X, rows, answers)
    assert many[0]._engine().traces["train together"] <= 2  # 32 images, then 64


@on_jax
def test_a_fit_that_fails_leaves_the_others_and_its_classifier_as_they_were(shapes_data):
    X, y = shapes_data
    rows, answers = labeled_sets(y, (30, 30, 30))
    answers[1] = answers[1] + 1  # a label that is not among the classes
    many = [classifier(seed, build_mlp) for seed in range(3)]
    failures = fit_together(many, X, rows, answers)
    assert [type(failure).__name__ for failure in failures] == [
        "NoneType", "UnknownLabelError", "NoneType",
    ]  # fmt: skip
    assert not hasattr(many[1], "classes_")
    assert_alike(classifier(2, build_mlp).fit(X[rows[2]], answers[2]), many[2], X)


@on_jax
def test_a_loss_that_is_not_finite_fails_its_own_fit_alone(shapes_data):
    X, y = shapes_data
    X = X.astype(np.float32) / 255
    X[:30] *= 3e38  # sums of these overflow
    rows = [np.arange(100, 140), np.arange(30)]
    many = [classifier(seed, build_mlp) for seed in range(2)]
    failures = fit_together(many, X, rows, [y[r] for r in rows])
    assert failures[0] is None
    with pytest.raises(ValueError, match="Training diverged: the loss became nan"):
        raise failures[1]


@on_jax
@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"epochs": 3}, "one plan for all; got 2"),
        ({"params": {"dropout": 0.5}}, "need one architecture"),
    ],
)
def test_classifiers_that_differ_are_refused(second, message, shapes_data):
    X, y = shapes_data
    rows, answers = labeled_sets(y, (20, 20))
    with pytest.raises(ValueError, match=message):
        fit_together([classifier(0), classifier(1, **second)], X, rows, answers)


@on_jax
def test_held_out_images_and_one_classifier_twice_are_refused(shapes_data):
    X, y = shapes_data
    rows, answers = labeled_sets(y, (20, 20))
    with pytest.raises(ValueError, match="set validation_split=0"):
        fit_together([classifier(s, validation_split=0.2) for s in (0, 1)], X, rows, answers)
    with pytest.raises(ValueError, match="The same classifier is there twice"):
        fit_together([classifier(0)] * 2, X, rows, answers)


@on_jax
def test_an_interrupt_leaves_every_classifier_as_it_was(shapes_data, monkeypatch):
    X, y = shapes_data
    rows, answers = labeled_sets(y, (20, 20))
    many = [classifier(seed, build_mlp) for seed in range(2)]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(together, "_trained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_together(many, X, rows, answers)
    assert not any(hasattr(one, "classes_") for one in many)


@pytest.mark.skipif(IS_JAX, reason="the backend is JAX")
def test_another_backend_is_refused_with_what_to_set(shapes_data):
    X, y = shapes_data
    with pytest.raises(ValueError, match=r"need Keras on JAX; it is on .* KERAS_BACKEND=jax"):
        fit_together([classifier(0)], X, [np.arange(20)], [y[:20]])
