"""Active learning for image classification with Keras and modAL.

The public names are imported when first used, so that ``import al_tf`` does
not load TensorFlow, scikit-learn or pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF = {
    "ActiveLearner": "learner",
    "Committee": "learner",
    "ExperimentConfig": "experiments",
    "ImageDataset": "datasets",
    "KerasImageClassifier": "network.classifier",
    "LabelLedger": "labeling",
    "LabelingSession": "labeling",
    "LinearProbeClassifier": "network.probe",
    "build_cnn": "network.models",
    "build_finetuned": "network.finetuned",
    "describe_device": "network.device",
    "fetch_dataset": "datasets",
    "get_strategy": "strategies",
    "list_backbones": "network.backbones",
    "list_datasets": "datasets",
    "list_strategies": "strategies",
    "load_backbone": "network.backbones",
    "load_dataset": "datasets",
    "register_strategy": "strategies",
    "run_experiment": "experiments",
}

if TYPE_CHECKING:
    from .datasets import ImageDataset as ImageDataset
    from .datasets import fetch_dataset as fetch_dataset
    from .datasets import list_datasets as list_datasets
    from .datasets import load_dataset as load_dataset
    from .experiments import ExperimentConfig as ExperimentConfig
    from .experiments import run_experiment as run_experiment
    from .labeling import LabelingSession as LabelingSession
    from .labeling import LabelLedger as LabelLedger
    from .learner import ActiveLearner as ActiveLearner
    from .learner import Committee as Committee
    from .network.backbones import list_backbones as list_backbones
    from .network.backbones import load_backbone as load_backbone
    from .network.classifier import KerasImageClassifier as KerasImageClassifier
    from .network.device import describe_device as describe_device
    from .network.finetuned import build_finetuned as build_finetuned
    from .network.models import build_cnn as build_cnn
    from .network.probe import LinearProbeClassifier as LinearProbeClassifier
    from .strategies import get_strategy as get_strategy
    from .strategies import list_strategies as list_strategies
    from .strategies import register_strategy as register_strategy

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'al_tf' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
