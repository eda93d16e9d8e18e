"""Exact, chunked, memory-bounded kernels on float32 rows ``(n, d)``; never an n × n array.

Rows are centred and scaled before distances are computed by matrix products, so that large offsets
and extreme units lose no digits. Tiles run on all cores; no result depends on how many there are.
Each kernel bounds its working memory by `memory_limit` bytes, beside inputs, outputs and one
float32 copy of the inputs.
"""

from ._a_optimal import a_optimal, second_moment
from ._bandwidth import DensityDiagnostic, diagnose_density, select_bandwidth
from ._columns import center_and_scale, principal_components, project, standardise, unit_rows
from ._covering import k_center_greedy, max_ball_cover
from ._density import kde_log_density
from ._distances import (
    distance_to_other_groups,
    mean_nearest_neighbour_distance,
    mean_neighbour_distance,
    mean_similarity,
    nearest_of_set,
)
from ._kernel_cover import max_kernel_cover
from ._kmeans import kmeans
from ._kmeans_plus_plus import kmeans_plus_plus
from ._points import MEMORY_LIMIT, Frame, RowsInOrder, make_frame
from ._reduction import Reduction, find_reduction

__all__ = [
    "MEMORY_LIMIT",
    "DensityDiagnostic",
    "Frame",
    "Reduction",
    "RowsInOrder",
    "a_optimal",
    "center_and_scale",
    "diagnose_density",
    "distance_to_other_groups",
    "find_reduction",
    "k_center_greedy",
    "kde_log_density",
    "kmeans",
    "kmeans_plus_plus",
    "make_frame",
    "max_ball_cover",
    "max_kernel_cover",
    "mean_nearest_neighbour_distance",
    "mean_neighbour_distance",
    "mean_similarity",
    "nearest_of_set",
    "principal_components",
    "project",
    "second_moment",
    "select_bandwidth",
    "standardise",
    "unit_rows",
]
