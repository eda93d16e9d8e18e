"""The ML backend of Label Studio over HTTP: ``/health /setup /predict /webhook`` and their kin.

It listens on this machine alone unless told otherwise; then it should ask for a password. Requests
that change something must be JSON, which no page of another site can send here, and the host that
they name must be this machine.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import signal
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ....errors import AlTfError, DeskError
from ....parsing import parse_json
from .live import LiveLabeling

try:
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application, RequestHandler
except ImportError as error:
    raise ImportError(
        "The backend of Label Studio needs the package tornado: pip install 'al-tf[label-studio]'"
    ) from error

_log = logging.getLogger("al_tf.labeling")

MAX_BODY = 256 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_REASON = 400


class _Handler(RequestHandler):
    live: LiveLabeling
    password: str | None
    only_here: bool

    def initialize(self, live: LiveLabeling, password: str | None, only_here: bool) -> None:
        self.live, self.password, self.only_here = live, password, only_here

    def prepare(self) -> None:
        if self.only_here and self.request.host_name not in LOOPBACK:
            self.refuse(403, "This backend is only for the machine it runs on.")
        elif self.password is not None and not self._knows_password():
            self.set_header("WWW-Authenticate", 'Basic realm="al_tf"')
            self.refuse(401, "A user name and password are needed.")

    def _knows_password(self) -> bool:
        wanted = "Basic " + b64encode(str(self.password).encode()).decode()
        given = self.request.headers.get("Authorization", "")
        return hmac.compare_digest(wanted.encode(), given.encode())

    def reply(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.finish(value)

    def refuse(self, status: int, text: str) -> None:
        """Answer with an error; Label Studio shows people nothing but the reason of the status."""
        line = " ".join(text.split())
        plain = re.sub(r"[<>]", "", line)  # tornado lets no markup into a status
        reason = plain.encode("ascii", "replace").decode()[:_LONGEST_REASON]
        self.set_status(status, reason)
        self.finish({"error": line})

    async def ask(self, question: Callable[[dict[str, Any]], Any]) -> Any:
        """Return what the body's request is answered with; None after refusing it."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind != "application/json":
            self.refuse(415, "A request must be JSON.")
            return None
        try:
            request = parse_json(self.request.body)
            if not isinstance(request, dict):
                raise ValueError("not an object")
        except ValueError as error:
            self.refuse(400, f"A request must be a JSON object: {error}.")
            return None
        try:
            return (await asyncio.to_thread(question, request),)
        except AlTfError as error:
            _log.warning("Refused a request of Label Studio: %s", error)
            self.refuse(400, str(error))
        except Exception as error:
            _log.exception("A request of Label Studio failed")
            self.refuse(500, f"{type(error).__name__}: {error}")
        return None

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish({"error": self._reason})


class _Health(_Handler):
    def get(self) -> None:
        status = self.live.training
        self.reply(
            {
                "status": "UP",
                "model_class": "al_tf",
                "training": "none" if status is None else status.state,
                "labels": 0 if status is None else status.labels,
            }
        )


class _Setup(_Handler):
    async def post(self) -> None:
        if (done := await self.ask(self.live.setup)) is not None:
            self.reply({"model_version": done[0]})


class _Predict(_Handler):
    async def post(self) -> None:
        if (done := await self.ask(self.live.predict)) is not None:
            self.reply({"results": done[0]})


class _Webhook(_Handler):
    async def post(self) -> None:
        if (done := await self.ask(self.live.webhook)) is not None:
            result = done[0]
            numbers = (
                {}
                if result is None
                else {
                    "recorded": result.recorded,
                    "known": result.known,
                    "taken_back": result.taken_back,
                    "unmatched": list(result.unmatched),
                }
            )
            self.reply({"status": "ok", "result": numbers}, 201)


class _Versions(_Handler):
    def get(self) -> None:
        self.reply({"versions": [self.live.version]})


class _Empty(_Handler):
    """What Label Studio may ask of a backend, and this one has nothing to say to."""

    def get(self) -> None:
        self.reply({})

    async def post(self) -> None:
        if await self.ask(lambda request: None) is not None:
            self.reply({})


class BackendServer:
    """The backend of Label Studio, on a port.

    Parameters
    ----------
    live : LiveLabeling
    host : str
        Address to listen on.
    port : int
        0 takes a free one.
    password : str, optional
        ``USER:PASSWORD`` that Label Studio must give (basic authentication).

    Raises
    ------
    DeskError
        The port is not available.
    """

    def __init__(
        self,
        live: LiveLabeling,
        *,
        host: str = "127.0.0.1",
        port: int = 9090,
        password: str | None = None,
    ) -> None:
        self.live, self._host, self._port, self._password = live, host, port, password
        self._stopped: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = port

    def application(self) -> Application:
        """Return the handlers of every address."""
        shared = {
            "live": self.live,
            "password": self._password,
            "only_here": self._host in LOOPBACK,
        }
        routes = {
            r"/(?:health)?": _Health,
            r"/setup": _Setup,
            r"/predict": _Predict,
            r"/webhook": _Webhook,
            r"/versions": _Versions,
            r"/(?:metrics|validate|delete|duplicate_model|job_status)": _Empty,
        }
        return Application(
            [(pattern, handler, shared) for pattern, handler in routes.items()],
            log_function=lambda handler: None,
        )

    def run(self, ready: Callable[[str], None] = print) -> None:
        """Serve until `stop`, Ctrl-C or SIGTERM; `ready` is given the address."""
        asyncio.run(self._run(ready))

    def stop(self) -> None:
        """End `run`, from any thread."""
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def _run(self, ready: Callable[[str], None]) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            # not in the main thread, nor on Windows
            with suppress(NotImplementedError, RuntimeError, ValueError):
                self._loop.add_signal_handler(name, self._stopped.set)
        try:
            sockets = bind_sockets(self._port, self._host)
        except (OSError, OverflowError) as error:
            raise DeskError(
                f"Port {self._port} of {self._host} is not available ({error}). Give another "
                "one with --port."
            ) from error
        server = HTTPServer(self.application(), max_body_size=MAX_BODY, max_buffer_size=MAX_BODY)
        server.add_sockets(sockets)
        self.port = int(sockets[0].getsockname()[1])
        ready(f"http://{self._host}:{self.port}")
        await self._stopped.wait()
        server.stop()
        await server.close_all_connections()
