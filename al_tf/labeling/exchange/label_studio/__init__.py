"""Label Studio: its files, both ways, and a backend that it asks for predictions while people label."""

from __future__ import annotations

from .files import export_tasks, import_annotations, local_files_setup
from .interface import labeling_interface
from .recording import ImportResult

__all__ = [
    "ImportResult",
    "export_tasks",
    "import_annotations",
    "labeling_interface",
    "local_files_setup",
]
