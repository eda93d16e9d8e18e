"""What the backend asks of a Label Studio server: tasks, users, images; and predictions written."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from ....errors import LabelStudioError

MAX_IMAGE_BYTES = 64 << 20
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Waits before a request is repeated that Label Studio could not do, as its database was locked."""
_TIMEOUT = (5.0, 300.0)
_IMAGE_TIMEOUT = (5.0, 60.0)
_ACCESS_SECONDS = 240.0
"""How long an access token is used; Label Studio's last five minutes."""


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

    def versions(self, project: int) -> dict[str, int]:
        """Return how many predictions of each model version a project has."""
        found = self._ask("GET", f"api/projects/{project}/model-versions/").json()
        return {str(version): int(count) for version, count in found.items()}

    def add_predictions(
        self, project: int, version: str, predictions: Sequence[dict[str, Any]]
    ) -> None:
        """Add predictions of one model version to a project, once even if it is tried again."""
        before = self.versions(project).get(version, 0)
        path = f"api/projects/{project}/import/predictions"
        for wait in (*RETRY_SECONDS, None):
            try:
                self._ask_once("POST", path, json=list(predictions))
                return
            except _BusyError:
                if wait is None:
                    raise
                time.sleep(wait)
                if self.versions(project).get(version, 0) > before:
                    return  # they were added before it failed

    def show_version(self, project: int, version: str) -> None:
        """Let a project show the predictions of a model version, and sort by their scores."""
        self._ask("PATCH", f"api/projects/{project}/", json={"model_version": version})

    def prediction_numbers(self, project: int, version: str) -> list[int]:
        """Return the numbers of the predictions of a model version."""
        found = self._ask("GET", f"api/predictions?project={project}").json()
        return [int(p["id"]) for p in found if p["model_version"] == version]

    def delete_prediction(self, number: int) -> None:
        """Delete one prediction."""
        self._ask("DELETE", f"api/predictions/{number}/")

    def delete_version(self, project: int, version: str) -> None:
        """Delete all predictions of a model version, in one transaction."""
        self._ask(
            "DELETE", f"api/projects/{project}/model-versions/", json={"model_version": version}
        )

    def download(self, address: str) -> bytes:
        """Return the file at an address that a task gives; the token goes to this server alone.

        Raises
        ------
        LabelStudioError
            It cannot be fetched, or is larger than `MAX_IMAGE_BYTES`.
        """
        import requests

        target = urljoin(self.url, address)
        if urlsplit(target).scheme not in ("http", "https"):
            raise LabelStudioError(f"{address}: only http addresses can be fetched.")
        own = urlsplit(target)[:2] == urlsplit(self.url)[:2]
        try:
            headers = self._headers() if own else {}  # a redirect to elsewhere drops them
            with requests.get(
                target, headers=headers, timeout=_IMAGE_TIMEOUT, stream=True
            ) as reply:
                reply.raise_for_status()
                return _content(reply, address)
        except requests.RequestException as error:
            raise LabelStudioError(f"{address} cannot be fetched: {error}.") from error

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        """Ask, and again after some seconds where the database was locked."""
        for wait in RETRY_SECONDS:
            try:
                return self._ask_once(method, path, **options)
            except _BusyError:
                time.sleep(wait)
        return self._ask_once(method, path, **options)

    def _ask_once(self, method: str, path: str, **options: Any) -> Any:
        reply = self._request(method, path, self._headers(), **options)
        if reply.status_code == 401 and self._access is not None:  # it may have ended early
            self._access = None
            reply = self._request(method, path, self._headers(), **options)
        if reply.status_code in (401, 403):
            raise LabelStudioError(
                f"Label Studio at {self.url} refuses the token. Give --token one of Account & "
                "Settings there."
            )
        if not reply.ok:
            text = " ".join(reply.text.split())[:300]
            kind = _BusyError if reply.status_code >= 500 else LabelStudioError
            raise kind(f"Label Studio answers {reply.status_code} to {method} {path}: {text}")
        return reply

    def _request(self, method: str, path: str, headers: dict[str, str], **options: Any) -> Any:
        import requests

        try:
            return requests.request(
                method, self.url + path, headers=headers, timeout=_TIMEOUT, **options
            )
        except requests.RequestException as error:
            raise LabelStudioError(
                f"Label Studio at {self.url} cannot be reached: {error}."
            ) from error

    def _headers(self) -> dict[str, str]:
        if not self._token.startswith("ey"):  # no JSON Web Token
            return {"Authorization": f"Token {self._token}"}
        with self._lock:
            if self._access is None or self._access[1] < time.monotonic():
                self._access = (self._refreshed(), time.monotonic() + _ACCESS_SECONDS)
            return {"Authorization": f"Bearer {self._access[0]}"}

    def _refreshed(self) -> str:
        """Exchange a personal access token for one that lasts some minutes."""
        reply = self._request("POST", "api/token/refresh/", {}, json={"refresh": self._token})
        if not reply.ok:
            raise LabelStudioError(
                f"Label Studio at {self.url} refuses the personal access token (status "
                f"{reply.status_code}). Create one under Account & Settings there, and give it to "
                "--token."
            )
        return str(reply.json()["access"])


class _BusyError(LabelStudioError):
    """Label Studio failed, as it does where its database is locked."""


def _content(reply: Any, address: str) -> bytes:
    """Return what a server sends, if it is not too much."""
    parts, n = [], 0
    for part in reply.iter_content(1 << 16):
        parts.append(part)
        n += len(part)
        if n > MAX_IMAGE_BYTES:
            raise LabelStudioError(f"{address}: more than {MAX_IMAGE_BYTES:,} bytes.")
    return b"".join(parts)
