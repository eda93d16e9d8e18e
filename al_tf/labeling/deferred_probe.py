"""`DeferredProbe`: a linear probe that is made when it is first trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..network.backbones import Backbone
    from ..network.probe import LinearProbeClassifier


class DeferredProbe:
    """Stands for a `LinearProbeClassifier` of a session until there is something to train on.

    That class needs scikit-learn, which takes a second to import: the first image is there before.
    `fit` returns the probe itself.

    Parameters
    ----------
    backbone, classes, class_weight
        As in `LinearProbeClassifier`.
    """

    cache_dir = None
    """As in `LinearProbeClassifier`: features are in the user's cache."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        classes: Sequence[str] | None = None,
        class_weight: str | None = None,
    ) -> None:
        self.backbone, self.classes, self.class_weight = backbone, classes, class_weight

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        return {
            "backbone": self.backbone, "classes": self.classes, "class_weight": self.class_weight,
        }  # fmt: skip

    def set_params(self, **parameters: Any) -> DeferredProbe:
        """Change some parameters."""
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any) -> LinearProbeClassifier:
        """Return a probe that is trained on images or features; this one stays as it is."""
        return self.made().fit(X, y)

    def predict_proba(self, X: Any) -> Any:
        """Refuse: what `fit` returns predicts."""
        return self.made().predict_proba(X)

    def sample_proba(self, X: Any, n_samples: int = 20, random_state: Any = None) -> Any:
        """Refuse: what `fit` returns samples."""
        return self.made().sample_proba(X, n_samples, random_state)

    def made(self) -> LinearProbeClassifier:
        """Return the probe, not yet trained; what it needs is imported."""
        from ..network.probe import LinearProbeClassifier

        return LinearProbeClassifier(**self.get_params())
