"""What the data scripts share: two options, one message on failure, and the facts at the end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from al_tf.datasets import describe, fetch_dataset
from al_tf.errors import AlTfError


def parser(description: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--data-dir", help="folder to search first, in place of $AL_TF_DATA_DIR (never written to)"
    )
    made.add_argument("--seed", type=int, default=0, help="draws what is drawn (default 0)")
    return made


def fetch_and_describe(
    name: str, *, before: Callable[[], object] | None = None, **load: Any
) -> None:
    """Bring a dataset into the cache, then print counts per class, shapes and checksums."""
    try:
        if before is not None:
            before()
        print(describe(fetch_dataset(name, **load)))
    except (AlTfError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
