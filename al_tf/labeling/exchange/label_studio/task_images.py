"""`TaskImages`: which image of the folder each task of a Label Studio project shows."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ....errors import DataCorruptError, LabelStudioError
from ....files import write_atomically
from ....images import decode_image
from ...ledger import LabelLedger
from ...pool import FolderPool
from .addresses import ImageIndex, upload_name
from .annotations import TaskAnswers
from .client import StudioClient
from .files import match_tasks

_log = logging.getLogger("al_tf.labeling")

FETCHED_FOLDER = "from_label_studio"
_FETCHED = "label studio: fetched"
Task = Mapping[str, Any]


class TaskImages:
    """The images of tasks, by their names in the folder; those that it lacks are fetched.

    Parameters
    ----------
    pool : FolderPool
    ledger : LabelLedger
        Keeps which image was fetched from which address.
    """

    def __init__(self, pool: FolderPool, ledger: LabelLedger) -> None:
        self._pool, self._ledger = pool, ledger
        self._index = ImageIndex(pool)
        self._refused: set[str] = set()  # addresses

    def of(self, tasks: Sequence[Task], key: str) -> list[str | None]:
        """Return the image of each task, None where it is not known; one thread at a time.

        Parameters
        ----------
        tasks : sequence of dict
        key : str
            Of the data that holds the address.
        """
        rows = [TaskAnswers(task.get("data") or {}, task.get("id")) for task in tasks]
        fetched = self._ledger.setting(_FETCHED) or {}
        ids = set(self._pool.ids)
        matched, _ = match_tasks(rows, self._index, key)
        by_row = {id(row): image for image, row in matched}
        images = []
        for row in rows:
            kept = fetched.get(str(row.data.get(key)))
            images.append(kept if kept in ids else by_row.get(id(row)))
        return images

    def fetch(self, tasks: Sequence[Task], key: str, client: StudioClient) -> int:
        """Keep the images of tasks that are not in the folder; return how many are new.

        What is no image, or refused, is logged once and not asked for again.
        """
        fetched = dict(self._ledger.setting(_FETCHED) or {})
        before = len(fetched)
        for task in tasks:
            address = (task.get("data") or {}).get(key)
            if not isinstance(address, str) or not address or address in self._refused:
                continue
            try:
                content = client.download(address)
                decode_image(content, address)
            except (LabelStudioError, DataCorruptError) as error:
                self._refused.add(address)
                _log.warning("No image for task %s of Label Studio: %s", task.get("id"), error)
                continue
            fetched[address] = _keep(content, address, self._pool.folder / FETCHED_FOLDER)
        if len(fetched) > before:
            self._ledger.store(_FETCHED, fetched)
        return len(fetched) - before


def _keep(content: bytes, address: str, folder: Path) -> str:
    """Write a fetched image; return its content hash."""
    image = hashlib.sha256(content).hexdigest()
    name = upload_name(address) or Path(urlsplit(address).path).name
    suffix = Path(name).suffix.lower()
    folder.mkdir(exist_ok=True)
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(name).stem)[:60]
    target = folder / f"{stem}_{image[:12]}{suffix if suffix.isascii() else ''}"
    write_atomically(target, lambda temporary: temporary.write_bytes(content))
    return image
