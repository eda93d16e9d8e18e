"""What a desk was opened with: kept in its ledger, so that it can be opened again, and exported."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataNotFoundError, LedgerError, check_one_of
from .deferred_probe import DeferredProbe
from .ledger import LabelLedger

if TYPE_CHECKING:
    from .pool import FolderPool

MODELS = ("probe", "cnn")
DEFAULT_BACKBONE = "efficientnet_lite0"
CNN_SIZE = 64
OWN_NETWORK = ".keras"
_KEY = "desk"


@dataclass(frozen=True)
class DeskSettings:
    """The settings of a desk.

    The same settings and labels give the same model, so `al-tf export` writes the desk's own.
    """

    model: str
    """``"probe"`` (logistic regression on the features of a pretrained network) or ``"cnn"``."""
    backbone: str | None
    """Name of the pretrained network as `load_backbone` takes it; None for a CNN."""
    size: int
    """Side in pixels of the images as the model sees them."""
    grey: bool | None = None
    """Whether the model sees them in grey; None before the images were first read."""
    strategy: str = "margin"
    batch_size: int = 10
    overlap: float = 0.0
    """Share of the images that a second annotator is asked for."""
    bits: int | None = None
    """How many bits 16-bit images use; None before the images were first read."""

    def open_pool(
        self,
        folder: str | os.PathLike[str],
        *,
        background: bool = False,
        listed: Callable[[int], object] | None = None,
    ) -> tuple[FolderPool, DeskSettings]:
        """Return the images of a folder as the model sees them, and these settings for next time.

        Parameters
        ----------
        folder : path
        background, listed
            As in `FolderPool`.

        Raises
        ------
        DataNotFoundError
            No such folder, or no readable image in it.
        """
        from .pool import FolderPool

        pool = FolderPool(
            folder, size=self.size, grey=self.grey, bits=self.bits,
            progress=True, remember=True, background=background, listed=listed,
        )  # fmt: skip
        return pool, replace(self, grey=len(pool.shape) == 2, bits=pool.bits)

    def build_estimator(self, classes: Sequence[str]) -> Any:
        """Return the classifier, not yet fitted.

        Parameters
        ----------
        classes : sequence of str
            In the order of the columns of its probabilities.

        Raises
        ------
        DataNotFoundError
            The backbone's weights are not on this machine.
        """
        estimator = self.build_for_session(classes)
        return estimator.made() if isinstance(estimator, DeferredProbe) else estimator

    def build_for_session(self, classes: Sequence[str]) -> Any:
        """Return the same for a session, which has no need of a probe before it is first trained."""
        if self.model == "probe":
            from ..network.backbones import load_backbone

            name = self.backbone or DEFAULT_BACKBONE
            is_own = name.endswith(OWN_NETWORK)  # which fixes its size itself
            backbone = load_backbone(name, size=None if is_own else self.size)
            return DeferredProbe(backbone, classes=list(classes), class_weight="balanced")
        from ..network.classifier import KerasImageClassifier
        from ..strategies import strategy_info

        needs_dropout = "dropout" in strategy_info(self.strategy).needs
        return KerasImageClassifier(
            min_steps=200,
            class_weight="balanced",
            random_state=0,
            classes=list(classes),
            model_params={"dropout": 0.25} if needs_dropout else None,
        )

    @property
    def cold_start(self) -> str:
        """How a session chooses before there is a model."""
        return "typiclust" if self.model == "probe" else "random"


def read_settings(ledger: LabelLedger) -> DeskSettings | None:
    """Return the settings that a desk stored in its ledger; None if none did.

    Raises
    ------
    LedgerError
        They cannot be read: a newer version wrote them.
    """
    stored = ledger.setting(_KEY)
    if stored is None:
        return None
    known = {field.name for field in fields(DeskSettings)}
    if not isinstance(stored, dict) or not {"model", "size"} <= set(stored) <= known:
        raise LedgerError(
            f"{ledger.path}: the settings of the desk cannot be read: {stored!r}. Update al_tf."
        )
    return DeskSettings(**stored)


def store_settings(ledger: LabelLedger, settings: DeskSettings) -> None:
    """Store the settings in the ledger, in place of those before."""
    ledger.store(_KEY, asdict(settings))


def resolve_settings(
    stored: DeskSettings | None,
    *,
    model: str | None = None,
    backbone: str | None = None,
    size: int | None = None,
    strategy: str | None = None,
    batch_size: int | None = None,
    overlap: float | None = None,
) -> tuple[DeskSettings, str | None]:
    """Return the settings to use, and a line on why it is no probe where one was wished for.

    Parameters
    ----------
    stored : DeskSettings or None
        Of the ledger; what is not given comes from there.
    model : {"auto", "probe", "cnn"} or path, optional
        ``"auto"``, the default without stored settings: the probe where the weights of its
        backbone are on this machine, else the CNN. A path is that of a ``.keras`` network, whose
        features a probe is trained on.
    backbone : str, optional
        As `load_backbone` takes it.
    size, strategy, batch_size, overlap
        As in `DeskSettings`.

    Returns
    -------
    settings : DeskSettings
    advice : str or None
        How to get the weights, if ``"auto"`` did not find them.

    Raises
    ------
    UnknownNameError
        There is no such model or backbone.
    DataNotFoundError
        The weights for ``"probe"`` are not on this machine.
    ValueError
        A backbone for a CNN.
    """
    if model is not None and model.endswith(OWN_NETWORK):
        model, backbone = "probe", model
    if backbone is not None and backbone.endswith(OWN_NETWORK):
        backbone = str(Path(backbone).expanduser().absolute())
    if model is not None:
        check_one_of("model", model, ("auto", *MODELS, f"PATH{OWN_NETWORK}"))
    if model == "cnn" and backbone is not None:
        raise ValueError(
            f"A CNN has no backbone; got model 'cnn' and backbone {backbone!r}. Use --model probe."
        )
    base, advice = stored, None
    if model is None and backbone is not None:
        model = "probe"
    if model is not None or base is None:
        base, advice = _chosen_model(model or "auto", backbone, size, stored)
    elif size is not None:
        base = replace(base, size=size)
    base = replace(
        base,
        strategy=base.strategy if strategy is None else strategy,
        batch_size=base.batch_size if batch_size is None else batch_size,
        overlap=base.overlap if overlap is None else overlap,
    )
    return base, advice


def _chosen_model(
    model: str, backbone: str | None, size: int | None, stored: DeskSettings | None
) -> tuple[DeskSettings, str | None]:
    others = DeskSettings("cnn", None, size or CNN_SIZE) if stored is None else stored
    cnn = replace(others, model="cnn", backbone=None, size=size or CNN_SIZE)
    if model == "cnn":
        return cnn, None
    from ..network.backbones import load_backbone

    name = backbone or (stored and stored.backbone) or DEFAULT_BACKBONE
    try:
        loaded = load_backbone(name, size=size)
    except DataNotFoundError as error:
        if model == "probe" or backbone is not None:
            raise
        return cnn, f"A small CNN is trained, as the pretrained network is missing: {error}"
    side = loaded.size if isinstance(loaded.size, int) else max(loaded.size)
    return replace(others, model="probe", backbone=name, size=side), None
