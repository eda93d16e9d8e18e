"""What an experiment trains: the model that its settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..network.fitting import gradient_steps as steps_of_fit
from .config import ExperimentConfig
from .model_settings import CLASSIFIER_OPTIONS, is_network


class Estimator(Protocol):
    """What the loop asks of a model; `KerasImageClassifier` is the full form of it."""

    history_: dict[str, Any]

    def set_params(self, **params: Any) -> Any:
        """Take ``random_state=…`` before each fit."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
        """Train, and leave ``steps`` and ``loss`` (a list) in ``history_``."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return ``(n, K)`` with a column for every class of the dataset."""

    def save_weights(self, path: Path) -> None:
        """Write all that the next fit or prediction depends on."""

    def load_weights(self, path: Path) -> Any:
        """Become the model that `save_weights` wrote."""


def _cnn(config: ExperimentConfig, n_classes: int) -> Estimator:
    from ..network.models import build_cnn

    return _network(config, n_classes, build_cnn, {})


def _finetuned(config: ExperimentConfig, n_classes: int) -> Estimator:
    from ..network.finetuned import build_finetuned

    body = {"backbone": config.backbone, "size": config.backbone_size}
    return _network(config, n_classes, build_finetuned, body)


def _network(
    config: ExperimentConfig,
    n_classes: int,
    model_fn: Callable[..., Any],
    settings: dict[str, Any],
) -> Estimator:
    from ..network.classifier import KerasImageClassifier

    params = _with_class_weight(config)
    of_classifier = {name: params.pop(name) for name in CLASSIFIER_OPTIONS if name in params}
    return KerasImageClassifier(
        model_fn,
        model_params={**settings, **params} or None,
        classes=range(n_classes),
        epochs=config.epochs,
        batch_size=config.batch_size,
        min_steps=config.min_steps,
        fit_mode=config.fit_mode,
        **of_classifier,
    )


def _logistic(config: ExperimentConfig, n_classes: int) -> Estimator:
    from .logistic import PixelLogistic

    return PixelLogistic(range(n_classes), **config.model_params)


def _probe(config: ExperimentConfig, n_classes: int) -> Estimator:
    from ..network.probe import LinearProbeClassifier

    # on features, which `embed_images` has computed for all runs
    return LinearProbeClassifier(
        backbone=None, classes=range(n_classes), **_with_class_weight(config)
    )


def _with_class_weight(config: ExperimentConfig) -> dict[str, Any]:
    """Return the parameters of the model, the weight of the classes by their number."""
    params = dict(config.model_params)
    weight = params.get("class_weight")
    if isinstance(weight, Mapping):
        params["class_weight"] = {int(number): factor for number, factor in weight.items()}
    return params


_BUILDERS: dict[str, Callable[[ExperimentConfig, int], Estimator]] = {
    "cnn": _cnn,
    "probe": _probe,
    "finetuned": _finetuned,
    "logistic": _logistic,
}


def build_estimator(config: ExperimentConfig, n_classes: int) -> Estimator:
    """Return an unfitted model of the kind that `config` names."""
    return _BUILDERS[config.model](config, n_classes)


def features_without_fit(config: ExperimentConfig, X: np.ndarray) -> np.ndarray | None:
    """Return features ``(n, d)`` that need no fit, or None where the model learns its own.

    Parameters
    ----------
    config : ExperimentConfig
    X : ndarray (n, ...)
        What the model is fitted on: images, or features of them for a probe.
    """
    if config.model == "probe":
        return X
    if config.model == "logistic":
        from .logistic import PixelLogistic

        return np.asarray(PixelLogistic().transform(X))
    return None


def gradient_steps(config: ExperimentConfig, n_labeled: int) -> int:
    """Return how many gradient steps one fit takes; 0 for a model without them."""
    if not is_network(config.model):
        return 0
    return steps_of_fit(
        n_labeled,
        epochs=config.epochs,
        batch_size=config.batch_size,
        min_steps=config.min_steps,
    )
