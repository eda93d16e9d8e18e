"""Colours and markers: one look per strategy in every figure, other colours for everything else.

The first hues are those of Okabe & Ito (2008) and of Paul Tol's "muted" scheme, both made for
colour-blind readers; the later ones were chosen as far from all others as possible. So many hues
cannot all be told apart by everyone. Two rules hold instead, and are tested: strategies that share
a marker have colours far apart for every kind of colour vision, and so have the strategies that
are usually compared.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Look(NamedTuple):
    """How a strategy is drawn in every figure."""

    color: str
    marker: str


STRATEGY_LOOKS = {
    "random": Look("#4D4D4D", "o"),
    "margin": Look("#0072B2", "s"),
    "entropy": Look("#D55E00", "^"),
    "uncertainty": Look("#E69F00", "v"),
    "badge": Look("#009E73", "D"),
    "bald": Look("#CC79A7", "P"),
    "kcenter": Look("#56B4E9", "X"),
    "typiclust": Look("#332288", "p"),
    "cluster_margin": Look("#882255", "h"),
    "entropy_cluster": Look("#AA4499", "<"),
    "kmeans": Look("#117733", ">"),
    "density": Look("#999933", "*"),
    "entropy_density": Look("#A6761D", "d"),
    "information_density": Look("#44AA99", "8"),
    "probcover": Look("#6A3D9A", "H"),
    "softmax_outlier": Look("#CC6677", "v"),
    "softmax_kde": Look("#88AA55", "s"),
    "ranked_batch": Look("#7F9FD3", "^"),
    "expected_error": Look("#B2A000", "H"),
    "vote_entropy": Look("#661100", "D"),
    "consensus_entropy": Look("#CCB49C", "p"),
    "max_disagreement": Look("#1B4F72", "X"),
    "max_herding": Look("#E40C3C", "<"),
    "uherding": Look("#0CCC54", "o"),
    "drop_query": Look("#FC2490", "d"),
    "bait": Look("#0078FC", "*"),
    "batch_bald": Look("#483C00", "P"),
    "epig": Look("#84C00C", "h"),
    "power_margin": Look("#FC78FC", ">"),
    "power_bald": Look("#C09CFC", "8"),
    "cbal": Look("#FC9C78", "X"),
    "tcm": Look("#906048", "H"),
}

# For strategies of other packages and of notebooks. None is a colour of those usually compared:
# one's own strategy is drawn beside them.
_OTHER_COLORS = (
    "#AA4499",
    "#44AA99",
    "#882255",
    "#999933",
    "#332288",
    "#117733",
    "#661100",
    "#88CCEE",
)
_OTHER_MARKERS = (">", "<", "*", "p", "h", "d", "8", "H")

# What is no strategy has no strategy's colour.
UPPER_LINE = Look("#000000", "P")
"""Of the runs ``oracle``."""
SLATE = "#33475B"
MISSED_DEFECTS = "#A50F15"
FALSE_ALARMS = "#7F93A8"
PHASES = {"query": "#33475B", "fit": "#7F93A8", "eval": "#CDD5DD"}


def strategy_look(name: str) -> Look:
    """Colour and marker of a strategy, the same in every figure and every session.

    Parameters
    ----------
    name : str
        A built-in strategy has an entry of its own in `STRATEGY_LOOKS`; any other name gets a
        look that follows from the name alone and belongs to no built-in strategy.

    Returns
    -------
    Look
        ``(color, marker)``: a hexadecimal RGB colour and one of matplotlib's markers.

    Examples
    --------
    >>> from al_tf.plots import strategy_look
    >>> strategy_look("margin")
    Look(color='#0072B2', marker='s')
    >>> strategy_look("my_strategy") == strategy_look("my_strategy")
    True
    """
    if name == "oracle":
        return UPPER_LINE
    if name in STRATEGY_LOOKS:
        return STRATEGY_LOOKS[name]
    color, marker, *_ = hashlib.sha256(name.encode()).digest()
    for step in range(len(_OTHER_MARKERS)):
        look = Look(
            _OTHER_COLORS[color % len(_OTHER_COLORS)],
            _OTHER_MARKERS[(marker + step) % len(_OTHER_MARKERS)],
        )
        if look not in STRATEGY_LOOKS.values():
            break
    return look
