"""Common to the data scripts: two options, one message on failure, a description at the end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from al_tf.datasets import describe, fetch_dataset
from al_tf.errors import AlTfError


def parser(description: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=description)
    options.add_argument(
        "--data-dir", help="folder to search first, in place of $AL_TF_DATA_DIR (never written to)"
    )
    options.add_argument("--seed", type=int, default=0, help="of random splits (default 0)")
    return options


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
