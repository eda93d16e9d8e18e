"""From records to a verdict: curves, paired tests, label savings, penalty matrix."""

from .attainable import attainable_gain, ratio_of_means
from .curves import (
    aubc,
    difference_curve_table,
    learning_curve_table,
    summary_table,
    value_at,
)
from .penalty import PenaltyMatrix, penalty_matrix
from .report import report_table
from .savings import label_savings, labels_to_reach
from .tables import (
    format_table,
    queried_class_table,
    recall_table,
    seconds_table,
)
from .verdict import MIN_SEEDS, decide, holm, paired_test, verdict_table

__all__ = [
    "MIN_SEEDS",
    "PenaltyMatrix",
    "attainable_gain",
    "aubc",
    "decide",
    "difference_curve_table",
    "format_table",
    "holm",
    "label_savings",
    "labels_to_reach",
    "learning_curve_table",
    "paired_test",
    "penalty_matrix",
    "queried_class_table",
    "ratio_of_means",
    "recall_table",
    "report_table",
    "seconds_table",
    "summary_table",
    "value_at",
    "verdict_table",
]
