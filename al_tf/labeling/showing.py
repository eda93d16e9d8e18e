"""From a slot of the queue to what an annotator sees."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from .image_pool import ImagePool
from .items import Item, Neighbour, Prediction
from .ledger import Slot
from .scored_model import PoolClassifier, ScoredModel

N_NEIGHBOURS = 3
BLIND = ("audit", "second")
"""Purposes of images that are judged by people alone: the model's prediction is what they measure,
or has learned from what another annotator said."""


def build_item(
    slot: Slot,
    pool: ImagePool,
    model: ScoredModel | None,
    classifier: PoolClassifier | None,
    hidden: Container[str] = (),
) -> Item:
    """Return the item of a slot.

    Parameters
    ----------
    slot : Slot
    pool : ImagePool
    model : ScoredModel or None
        The newest one.
    classifier : PoolClassifier or None
        The same with the labeled set.
    hidden : container of str
        Labeled images that are no neighbours for this annotator, see `AnnotatorView.hidden`.

    Raises
    ------
    ImageGoneError
        The image cannot be shown any more.
    """
    picture = pool.pictures.overview(slot.image)
    blind = slot.purpose in BLIND or model is None or not model.knows(slot.image)
    predictions = () if blind or model is None else _predictions(model, slot.image)
    return Item(
        slot=slot.id,
        image_id=slot.image,
        name=pool.title(slot.image),
        path=pool.path(slot.image),
        image=picture.image,
        picture=picture,
        predictions=predictions,
        score=slot.score,
        strategy=slot.strategy,
        why=_why(slot, predictions),
        neighbours=()
        if blind or classifier is None
        else _neighbours(classifier, pool, slot.image, hidden),
        round=slot.round,
        position=slot.position,
        batch=slot.batch,
    )


def _predictions(model: ScoredModel, image: str) -> tuple[Prediction, ...]:
    proba = model.proba_of([image])[0]  # (K,)
    order = np.argsort(-proba, kind="stable")
    return tuple(Prediction(model.classes[k], float(proba[k])) for k in order)


def _neighbours(
    classifier: PoolClassifier, pool: ImagePool, image: str, hidden: Container[str]
) -> tuple[Neighbour, ...]:
    labeled = classifier.X_training.ids
    others = [row for row, i in enumerate(labeled) if i != image and i not in hidden]
    if not others:
        return ()
    own_features = classifier.transform(pool.view([image]))[0]
    features = classifier.transform(pool.view([labeled[row] for row in others]))
    distances = np.linalg.norm(features - own_features, axis=1)
    nearest = np.argsort(distances, kind="stable")[:N_NEIGHBOURS]
    return tuple(
        Neighbour(
            image_id=labeled[others[i]],
            name=pool.name(labeled[others[i]]),
            label=str(classifier.y_training[others[i]]),
            distance=float(distances[i]),
            image=pool.pictures.thumbnail(labeled[others[i]]),
        )
        for i in nearest
    )


def _why(slot: Slot, predictions: tuple[Prediction, ...]) -> str:
    if slot.purpose in BLIND:
        return (
            "Drawn at random, to measure how often the model is right or people agree; so its "
            "prediction is not shown."
        )
    how = "Drawn at random" if slot.strategy == "random" else f"Chosen by {slot.strategy}"
    if slot.score is not None:
        how += f", score {slot.score:.3g}"
    if slot.round:
        how += f", with model {slot.round}"
    if not predictions:
        return f"{how}." if slot.round else f"{how}: there was no model yet."
    first, *rest = predictions[:2]
    prediction = f"{first.label} ({first.probability:.0%})"
    prediction += "".join(f" or {p.label} ({p.probability:.0%})" for p in rest)
    return f"{how}. The newest model predicts {prediction}."
