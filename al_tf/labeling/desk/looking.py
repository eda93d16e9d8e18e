"""Requests for images alone: those that follow, and parts in full resolution. Nothing changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..image_pool import ImagePool
from ..pictures import MAX_VIEW_SIDE
from .data_urls import data_url

if TYPE_CHECKING:
    from ..items import Item
    from ..session import LabelingSession

MAX_AHEAD = 3


def ahead(session: LabelingSession) -> list[Item]:
    """Return the images that follow the one on the screen in this batch."""
    return session.ahead(MAX_AHEAD)


def whole(pool: ImagePool, image: str) -> dict[str, Any]:
    """Return a whole image for the screen, and what a screen must know to ask for parts of it."""
    picture = pool.pictures.overview(image)
    return {
        "picture": data_url(picture.image),
        "width": picture.width,
        "height": picture.height,
        "highest": picture.highest,
    }


def view(pool: ImagePool, request: dict[str, Any]) -> dict[str, Any]:
    """Return a part of an image for the screen, as the request wants it.

    Parameters
    ----------
    pool : ImagePool
    request : dict
        ``image`` (content hash); if wanted, ``box`` (left, top, width, height in pixels of the
        file), ``side`` (longest side in pixels of the reply), ``low`` and ``high`` (values of the
        file shown black and white).

    Returns
    -------
    dict
        ``image`` (a data URL) and ``box`` (the part that it shows).

    Raises
    ------
    ImageGoneError
        It cannot be read any more.
    ValueError
        Another form of request.
    """
    image, box = request.get("image"), request.get("box")
    if not isinstance(image, str):
        raise ValueError("A view must name its image by the content hash.")
    if box is not None and not (isinstance(box, list) and len(box) == 4):
        raise ValueError("A box is a list of left, top, width and height.")
    corners = None
    if box is not None:
        left, top, width, height = (number(part, "A part of a box") for part in box)
        corners = (left, top, width, height)
    picture = pool.pictures.part(
        image,
        box=corners,
        side=round(number(request.get("side", MAX_VIEW_SIDE), "side")),
        low=optional_number(request, "low"),
        high=optional_number(request, "high"),
    )
    return {"image": data_url(picture.image), "box": list(picture.box)}


def number(value: Any, name: str) -> float:
    """Return a finite number of a request, or raise `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number; got {str(value)[:40]!r}.")
    return float(value)


def optional_number(request: dict[str, Any], name: str) -> float | None:
    """Return a number that a request may hold, or None."""
    return None if request.get(name) is None else number(request[name], name)
