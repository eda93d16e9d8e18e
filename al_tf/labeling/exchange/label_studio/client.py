"""What the backend asks of a Label Studio server: tasks, users, images; and predictions written."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from ....errors import LabelStudioError

OUR_VERSIONS = "al_tf "
"""How the model versions of our predictions begin."""
MAX_IMAGE_BYTES = 64 << 20
DELETED_AT_ONCE = 2
"""Versions; SQLite is locked meanwhile, and Label Studio refuses an annotation that waits 5 s."""
_TIMEOUT = (5.0, 60.0)
_ACCESS_SECONDS = 240.0


class StudioClient:
    """A Label Studio server, asked in the name of a user.

    Parameters
    ----------
    url : str
        Its address.
    token : str
        A user's legacy token, or their personal access token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url, self._token = url.rstrip("/") + "/", token
        self._access: tuple[str, float] | None = None
        self._lock = threading.Lock()

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return every task of a project with all of its annotations, as the "JSON" export does."""
        query = "exportType=JSON&download_all_tasks=true"
        return self._ask("GET", f"api/projects/{project}/export?{query}").json()

    def emails(self) -> dict[int, str]:
        """Return the address of each user, by their number."""
        users = self._ask("GET", "api/users/").json()
        return {int(user["id"]): str(user["email"]) for user in users if user.get("email")}

    def write_predictions(
        self,
        project: int,
        predictions: Sequence[dict[str, Any]],
        kept: Sequence[str] | None = None,
    ) -> None:
        """Add predictions of one model version to a project, and show them in place of older ones.

        Our older versions are deleted once the new one is shown, but for those in `kept` (None:
        all). Label Studio refuses the annotation of somebody who has a task open with a prediction
        that is gone.
        """
        version = predictions[0]["model_version"]
        path = f"api/projects/{project}"
        versions = self._ask("GET", f"{path}/model-versions/").json()
        if version in versions:  # written before a restart
            self._ask("DELETE", f"{path}/model-versions/", json={"model_version": version})
        self._ask("POST", f"{path}/import/predictions", json=list(predictions))
        self._ask("PATCH", f"{path}/", json={"model_version": version})
        kept = (version, *(versions if kept is None else kept))
        stale = [old for old in versions if str(old).startswith(OUR_VERSIONS) and old not in kept]
        for old in stale[:DELETED_AT_ONCE]:
            self._ask("DELETE", f"{path}/model-versions/", json={"model_version": old})

    def download(self, address: str) -> bytes:
        """Return the file at an address that a task gives; the token goes to this server alone.

        Raises
        ------
        LabelStudioError
            It cannot be fetched, or is too large.
        """
        import requests

        target = urljoin(self.url, address)
        if urlsplit(target).scheme not in ("http", "https"):
            raise LabelStudioError(f"{address}: only http addresses can be fetched.")
        own = urlsplit(target)[:2] == urlsplit(self.url)[:2]
        try:
            headers = self._headers() if own else {}
            with requests.get(target, headers=headers, timeout=_TIMEOUT, stream=True) as reply:
                reply.raise_for_status()
                content = b""
                for part in reply.iter_content(1 << 16):
                    content += part
                    if len(content) > MAX_IMAGE_BYTES:
                        raise LabelStudioError(f"{address}: more than {MAX_IMAGE_BYTES:,} bytes.")
                return content
        except requests.RequestException as error:
            raise LabelStudioError(f"{address} cannot be fetched: {error}.") from error

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        import requests

        try:
            reply = requests.request(
                method, self.url + path, headers=self._headers(), timeout=_TIMEOUT, **options
            )
        except requests.RequestException as error:
            raise LabelStudioError(
                f"Label Studio at {self.url} cannot be reached: {error}."
            ) from error
        if reply.status_code in (401, 403):
            raise LabelStudioError(
                f"Label Studio at {self.url} refuses the token. Give --token one of Account & "
                "Settings there."
            )
        if not reply.ok:
            text = " ".join(reply.text.split())[:300]
            raise LabelStudioError(
                f"Label Studio answers {reply.status_code} to {method} {path}: {text}"
            )
        return reply

    def _headers(self) -> dict[str, str]:
        if not self._token.startswith("ey"):  # no JSON Web Token
            return {"Authorization": f"Token {self._token}"}
        with self._lock:
            if self._access is None or self._access[1] < time.monotonic():
                self._access = (self._refreshed(), time.monotonic() + _ACCESS_SECONDS)
            return {"Authorization": f"Bearer {self._access[0]}"}

    def _refreshed(self) -> str:
        """Exchange a personal access token for one that lasts some minutes."""
        import requests

        reply = requests.post(
            self.url + "api/token/refresh", json={"refresh": self._token}, timeout=_TIMEOUT
        )
        if not reply.ok:
            raise LabelStudioError(f"Label Studio at {self.url} refuses the personal access token.")
        return str(reply.json()["access"])
