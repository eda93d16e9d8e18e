"""Paired, resumable, parallel experiments: strategies against random, on the same footing.

`run_experiment` carries out an `ExperimentConfig` and leaves records that `load_results` and
`load_records` read.
"""

from __future__ import annotations

from .cluster import embed_on_cluster
from .config import ExperimentConfig
from .experiment import run_experiment
from .plan import Plan, make_plan
from .profiles import list_profiles, load_profile, with_overrides
from .rounds import FinishedRound
from .strategy_spec import UPPER_LINE, StrategySpec
from .study import Study, load_records, load_results, read_meta, read_study
from .trackers import MLflowTracker, TensorBoardTracker

__all__ = [
    "UPPER_LINE",
    "ExperimentConfig",
    "FinishedRound",
    "MLflowTracker",
    "Plan",
    "StrategySpec",
    "Study",
    "TensorBoardTracker",
    "embed_on_cluster",
    "list_profiles",
    "load_profile",
    "load_records",
    "load_results",
    "make_plan",
    "read_meta",
    "read_study",
    "run_experiment",
    "with_overrides",
]
