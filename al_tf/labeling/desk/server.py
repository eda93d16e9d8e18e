"""The labeling desk as a page of this machine's browser: `serve`, used by ``al-tf label``.

The page runs the same front end as the notebook widget (``desk.js``) and sends the same requests;
only the way differs: `fetch` to this server in place of a message to the kernel. The server is the
standard library's: nothing to install, and the page is there in the time that Python takes to
start. (Voilà can serve the widget too, but needs a kernel, a notebook and some fifty packages, and
takes many seconds.)

What protects it, each by itself:

- It listens on 127.0.0.1 alone.
- Every request needs the token: in the address at the first visit, which is then stripped from it,
  afterwards as a cookie that no script can read and no other site can cause to be sent. The browser
  is started with a ticket for one visit, because programs' arguments can be seen by other users.
- The Host header must name this machine, so that no name of an attacker can be pointed here (DNS
  rebinding); a request that changes something must come from this very page (Origin).
- A closed list of addresses is answered, none of which is a path of the machine. Images reach the page inside
  the replies.
- Requests are small and bounded in size and time. The page may load nothing from elsewhere and run
  no script but ours (Content-Security-Policy).
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ...errors import DeskError
from .front_end import FOLDER, SHARED_MODULES, STYLES
from .protocol import Desk

if TYPE_CHECKING:
    from ..session import LabelingSession

ADDRESS = "127.0.0.1"
MAX_BODY = 256 << 10  # as many images as may be changed at once
SLOWEST = 30.0  # seconds that a connection may keep us waiting

_OUR_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.ASCII)
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    **{
        f"/{name}": (name, "text/javascript; charset=utf-8")
        for name in (*SHARED_MODULES, "page.js")
    },
    **{f"/{name}": (name, "text/css; charset=utf-8") for name in STYLES},
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class DeskServer(ThreadingHTTPServer):
    """The desk of a session on 127.0.0.1.

    Parameters
    ----------
    session : LabelingSession, optional
        If not given, `attach` it before serving: so a port that is not available is noticed before
        anything else is done.
    port : int
        0 takes a free one.

    Raises
    ------
    DeskError
        The port is not available.

    Attributes
    ----------
    token : str
        Every request must carry it.
    """

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = os.name == "posix"  # elsewhere it would let others share the port

    desk: Desk

    def __init__(self, session: LabelingSession | None = None, port: int = 0) -> None:
        if session is not None:
            self.attach(session)
        self.token = secrets.token_urlsafe(32)
        self._tickets: set[str] = set()
        self._ticket_lock = threading.Lock()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise DeskError(
                f"Port {port} of {ADDRESS} is not available ({error}). Name another one, or 0 for "
                "any that is free."
            ) from error

    def attach(self, session: LabelingSession) -> None:
        """Serve this session."""
        self.desk = Desk(session)

    def run(
        self,
        *,
        open_browser: Callable[[str], Any] | None = None,
        announce: Callable[[str], None] = print,
    ) -> None:
        """Serve until Ctrl-C; parameters as in `serve`."""
        try:
            announce(f"The labeling desk: {self.url}")
            announce("Keep this address to yourself: anybody who has it can label.")
            announce("Ctrl-C stops the desk; every answer is kept.")
            if open_browser is not None:
                ticket = self.single_use_url()
                threading.Thread(target=open_browser, args=(ticket,), daemon=True).start()
            self.serve_forever()
        except KeyboardInterrupt:
            session = self.desk.session
            labels = session.progress().labels
            announce(f"\nStopped with {labels} labels in {session.ledger.path}.")

    def server_bind(self) -> None:
        """Take the port, without asking the network for this machine's name as `HTTPServer` does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, int(self.server_address[1])

    @property
    def url(self) -> str:
        """The address with the token; anybody who has it can label."""
        return f"{self._base}?token={self.token}"

    def single_use_url(self) -> str:
        """Return an address for one visit."""
        ticket = secrets.token_urlsafe(32)
        with self._ticket_lock:
            self._tickets.add(ticket)
        return f"{self._base}?token={ticket}"

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies know no ports, so the port is in the name."""
        return f"al_tf_desk_{self.server_port}"

    def admits(self, token: str) -> bool:
        """Return whether a visitor with this token is let in; a ticket is used up."""
        given = token.encode()
        with self._ticket_lock:
            for ticket in self._tickets:
                if hmac.compare_digest(ticket.encode(), given):
                    self._tickets.remove(ticket)
                    return True
        return self.knows(token)

    def knows(self, token: str) -> bool:
        """Return whether this is the token, in a time that does not depend on how much is right."""
        return hmac.compare_digest(self.token.encode(), token.encode())

    @property
    def _base(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break off; the page asks again."""


class _Handler(BaseHTTPRequestHandler):
    server: DeskServer
    protocol_version = "HTTP/1.1"
    timeout = SLOWEST

    def do_GET(self) -> None:
        if not self._is_for_us():
            return
        path, _, query = self.path.partition("?")
        token = parse_qs(query).get("token", [""])[0]
        if path == "/" and token:
            self._enter(token)
        elif self._has_token():
            self._file(path)

    def do_POST(self) -> None:
        self.close_connection = True  # until the body has been read
        if not (self._is_for_us() and self._has_token() and self._is_from_our_page()):
            return
        if self.path != "/ask":
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        request = self._body()
        if request is not None:
            reply = json.dumps(self.server.desk.handle(request), allow_nan=False)
            self._send(HTTPStatus.OK, "application/json", reply.encode())

    # Who is let in --------------------------------------------------------------------

    def _is_for_us(self) -> bool:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) == 1 and _OUR_HOST.fullmatch(hosts[0]):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "This desk is only for the machine it runs on.")
        return False

    def _has_token(self) -> bool:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        morsel = cookies.get(self.server.cookie)
        if morsel is not None and self.server.knows(morsel.value):
            return True
        self._refuse(
            HTTPStatus.FORBIDDEN,
            "This desk needs its token: open the address that the program printed.",
        )
        return False

    def _is_from_our_page(self) -> bool:
        if self.headers.get("Origin") == f"http://{self.headers['Host']}":
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "This request does not come from the desk's page.")
        return False

    def _enter(self, token: str) -> None:
        """Give the cookie to a visitor with the token, and redirect to the address without it."""
        if not self.server.admits(token):
            self._refuse(
                HTTPStatus.FORBIDDEN,
                "This address is no longer valid: open the one that the program printed last.",
            )
            return
        cookie = f"{self.server.cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
        self._send(HTTPStatus.SEE_OTHER, "text/plain", b"", Location="/", **{"Set-Cookie": cookie})

    # What they get ----------------------------------------------------------------------

    def _file(self, path: str) -> None:
        if path not in _FILES:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        name, kind = _FILES[path]
        self._send(HTTPStatus.OK, kind, (FOLDER / name).read_bytes())

    def _body(self) -> dict[str, Any] | None:
        """Return the request in the body; None after refusing a body that is not one."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "A request must say how long it is.")
        elif len(length) > 9 or int(length) > MAX_BODY:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {MAX_BODY} bytes."
            )
        elif kind != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A request must be JSON.")
        else:
            try:
                request = json.loads(self.rfile.read(int(length)))
            except (ValueError, RecursionError):
                request = None
            if isinstance(request, dict):
                self.close_connection = self.headers.get("Connection", "").lower() == "close"
                return request
            self._refuse(HTTPStatus.BAD_REQUEST, "A request must be a JSON object.")
        return None

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", text.encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        extra = {"Connection": "close"} if self.close_connection else {}
        fixed = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (fixed | headers | extra | _HEADERS).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the standard library refuses with one line of plain text."""
        self._refuse(HTTPStatus(code), HTTPStatus(code).phrase)

    def version_string(self) -> str:
        """Name no versions."""
        return "al_tf"

    def log_message(self, *_: Any) -> None:
        """Keep the terminal clean; the ledger is the log."""


def serve(
    session: LabelingSession,
    *,
    port: int = 0,
    open_browser: Callable[[str], Any] | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the desk until Ctrl-C.

    Parameters
    ----------
    session : LabelingSession
    port : int
        0 takes a free one.
    open_browser : callable, optional
        Given an address for one visit (`webbrowser.open`).
    announce : callable
        Given the lines for the terminal.

    Raises
    ------
    DeskError
        The port is not available.
    """
    with DeskServer(session, port) as server:
        server.run(open_browser=open_browser, announce=announce)
