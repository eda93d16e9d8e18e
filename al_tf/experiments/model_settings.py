"""The models that an experiment may train, and which of its settings go with each of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..errors import check_one_of
from ..network.fitting import FIT_MODES
from .parameters import check_parameters, defaults_of

MODELS = ("cnn", "probe", "finetuned", "logistic")
BACKBONE = "efficientnet_lite0"
CLASSIFIER_OPTIONS = (
    "class_weight", "shrink", "perturb", "rescale", "validation_split", "patience",
)  # fmt: skip
"""Options of a network's classifier, which `model_params` hold beside those of what builds it."""


class _Settings(Protocol):
    """The settings of an experiment that are looked at here; see `ExperimentConfig`."""

    @property
    def model(self) -> str: ...
    @property
    def model_params(self) -> Mapping[str, Any]: ...
    @property
    def backbone(self) -> str | None: ...
    @property
    def backbone_size(self) -> int | None: ...
    @property
    def fit_mode(self) -> str: ...
    @property
    def strategies(self) -> tuple[Any, ...]: ...


def is_network(model: str) -> bool:
    """Return whether a model is a network, trained by `KerasImageClassifier` in gradient steps."""
    return model in ("cnn", "finetuned")


def has_backbone(model: str) -> bool:
    """Return whether a model has a pretrained network in it, which the settings name."""
    return model in ("probe", "finetuned")


def check_model(config: _Settings) -> None:
    """Raise unless the model is a known one and the other settings go with it.

    Raises
    ------
    UnknownNameError
        No such model or `fit_mode`.
    ValueError
        A parameter or setting that the model does not have, or a strategy that needs more than it
        gives.
    """
    model = config.model
    check_one_of("model", model, MODELS)
    _check_model_params(config)
    _check_samples(config)
    check_one_of("fit_mode", config.fit_mode, FIT_MODES)
    if not is_network(model) and config.fit_mode != "scratch":
        raise ValueError(f"The model {model!r} is fitted anew; set fit_mode='scratch'.")
    if not has_backbone(model) and (config.backbone or config.backbone_size):
        raise ValueError(
            "backbone and backbone_size are settings of the models 'probe' and 'finetuned'; got "
            f"the model {model!r}."
        )


def model_defaults(model: str) -> dict[str, Any]:
    """Return the default of everything that `model_params` may hold for a model."""
    builder, reserved = _model_builder(model)
    defaults = defaults_of(builder, reserved)
    if is_network(model):
        from ..network.classifier import KerasImageClassifier

        classifier = defaults_of(KerasImageClassifier)
        defaults |= {name: classifier[name] for name in CLASSIFIER_OPTIONS}
    return defaults


def _check_model_params(config: _Settings) -> None:
    builder, reserved = _model_builder(config.model)
    also = CLASSIFIER_OPTIONS if is_network(config.model) else ()
    params = {name: value for name, value in config.model_params.items() if name not in also}
    beside = {"backbone": "backbone", "size": "backbone_size"} if has_backbone(config.model) else {}
    for name, setting in beside.items():
        if name in params:
            raise ValueError(
                f"{name} is no parameter in model_params: the setting is {setting}, beside it "
                f"(--set {setting}=…)."
            )
    check_parameters(f"The model {config.model!r}", builder, params, reserved, also)
    C = params.get("C", 1)
    if not _is_positive(C):
        raise ValueError(f"model_params.C should be a number above 0; got {C!r}.")
    _check_class_weight(config.model_params.get("class_weight"))


def _check_class_weight(weight: Any) -> None:
    if weight is None or weight == "balanced":
        return
    if not isinstance(weight, Mapping) or not all(key.isdecimal() for key in weight):
        raise ValueError(
            "class_weight should be 'balanced' or a table of factors by the number of the class "
            f"({{0: 1.0, 1: 5.0}}); got {weight!r}."
        )
    if not all(_is_positive(factor) or factor == 0 for factor in weight.values()):
        raise ValueError(
            f"class_weight should hold finite numbers of 0 or more; got {dict(weight)!r}."
        )


def _is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return isinstance(value, int | float) and 0 < value < math.inf


def _model_builder(model: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """Return what `model_params` go to, and which of its parameters the experiment sets."""
    if model == "logistic":
        from .logistic import PixelLogistic

        return PixelLogistic, ("classes", "random_state")
    if model == "probe":
        from ..network.probe import LinearProbeClassifier

        mine = ("backbone", "size", "classes", "random_state", "cache_dir", "verbose")
        return LinearProbeClassifier, mine
    if model == "finetuned":
        from ..network.finetuned import build_finetuned

        return build_finetuned, ("input_shape", "n_classes", "backbone", "size")
    from ..network.models import build_cnn

    return build_cnn, ("input_shape", "n_classes")


def _check_samples(config: _Settings) -> None:
    """Check that the model can give the samples of its predictions that a strategy needs."""
    from ..strategies import strategy_info

    given = _samples_given(config)
    for spec in config.strategies:
        lacking = {"dropout", "joint samples"}.intersection(strategy_info(spec.name).needs) - given
        if "joint samples" in lacking:
            raise ValueError(
                f"Strategy {spec.label!r} needs samples of the model that cover all images at once: "
                "set model='probe', or leave it out."
            )
        if lacking:
            raise ValueError(
                f"Strategy {spec.label!r} samples a network with dropout: set model='cnn' or "
                "model='finetuned' and model_params={'dropout': 0.25}, or model='probe', or leave "
                "it out."
            )


def _samples_given(config: _Settings) -> set[str]:
    if config.model == "probe":
        return {"dropout", "joint samples"}
    if not is_network(config.model):
        return set()
    builder, _ = _model_builder(config.model)
    default = inspect.signature(builder).parameters["dropout"].default
    return {"dropout"} if config.model_params.get("dropout", default) else set()
