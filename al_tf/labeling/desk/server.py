"""The labeling desk as a page of this machine's browser: `serve`, used by ``al-tf label``.

The page runs the same front end as the notebook widget (``desk.js``) and sends the same requests;
only the way differs: `fetch` to this server in place of a message to the kernel. The server is the
standard library's: nothing to install, and the page is there in the time that Python takes to
start. (Voilà can serve the widget too, but needs a kernel, a notebook and some fifty packages, and
takes many seconds.)

What protects it, each by itself:

- It listens on 127.0.0.1 alone, unless another host is asked for.
- Every request needs the token: in the address at the first visit, which is then stripped from it,
  afterwards as a cookie that no script can read and no other site can cause to be sent. The browser
  is started with a ticket for one visit, because programs' arguments can be seen by other users.
- Each of several annotators has a token and an address of their own, ``/1/``, ``/2/``, …: the token
  decides in whose name an answer is recorded, and no request can name another.
- The Host header must name this machine (or the address that was stated for the links), so that no
  name of an attacker can be pointed here (DNS rebinding); a request that changes something must come
  from this very page (Origin).
- A closed list of addresses is answered, none of which is a path of the machine. Images reach the page inside
  the replies.
- Requests are small and bounded in size and time. The page may load nothing from elsewhere and run
  no script but ours (Content-Security-Policy).
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ...errors import DeskError
from .access import LOCAL_HOST, Address, Door, doors_for
from .front_end import FOLDER, SHARED_MODULES, STYLES

if TYPE_CHECKING:
    from ..session import LabelingSession

MAX_BODY = 256 << 10  # as many images as may be changed at once
SLOWEST = 30.0  # seconds that a connection may keep us waiting

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
    """The desk of one annotator, or of several who share a pool and a model.

    Parameters
    ----------
    *sessions : LabelingSession
        One for each annotator. If none is given, `attach` them before serving: so a port that is
        not available is noticed before anything else is done.
    port : int
        0 takes a free one.
    host : str
        Name or IP address of this machine at which to listen.
    url : str, optional
        Address that the links hold, such as that of a proxy; by default that of `host`.

    Raises
    ------
    DeskError
        The port, or the host, is not available.
    ValueError
        `host` and `url` make no address that a link could hold.

    Attributes
    ----------
    address : Address
    doors : list of Door
        One for each session.
    """

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = os.name == "posix"  # elsewhere it would let others share the port

    def __init__(
        self,
        *sessions: LabelingSession,
        port: int = 0,
        host: str = LOCAL_HOST,
        url: str | None = None,
    ) -> None:
        self.address = Address(host, url)
        self.doors: list[Door] = []
        self.attach(*sessions)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise DeskError(
                f"Port {port} of {host} is not available ({error}). Name another one, or 0 for "
                "any that is free; the host must be an address of this machine."
            ) from error

    def attach(self, *sessions: LabelingSession) -> None:
        """Serve these sessions."""
        self.doors = doors_for(sessions)

    def run(
        self,
        *,
        open_browser: Callable[[str], Any] | None = None,
        announce: Callable[[str], None] = print,
    ) -> None:
        """Serve until Ctrl-C; parameters as in `serve`."""
        try:
            for line in self._welcome():
                announce(line)
            if open_browser is not None and len(self.doors) == 1:
                ticket = self.single_use_url(self.doors[0])
                threading.Thread(target=open_browser, args=(ticket,), daemon=True).start()
            self.serve_forever()
        except KeyboardInterrupt:
            session = self.doors[0].desk.session
            labels = session.progress().labels
            announce(f"\nStopped with {labels} labels in {session.ledger.path}.")

    def _welcome(self) -> list[str]:
        if len(self.doors) == 1:
            first = [
                f"The labeling desk: {self.link(self.doors[0])}",
                "Keep this address to yourself: anybody who has it can label.",
            ]
        else:
            links = [f"  {door.annotator}: {self.link(door)}" for door in self.doors]
            first = ["The labeling desk, with a link for each annotator:", *links]
            first += ["Give each only their own: whoever has a link answers in that name."]
            referees = [door.annotator for door in self.doors if door.desk.session.is_referee]
            first += [f"Who sees all labels and settles disagreements: {', '.join(referees)}."]
        return [*first, "Ctrl-C stops the desk; every answer is kept."]

    def server_bind(self) -> None:
        """Take the port, without asking the network for this machine's name as `HTTPServer` does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.address.host, int(self.server_address[1])

    def link(self, door: Door) -> str:
        """Return an annotator's address with the token; anybody who has it can label."""
        return f"{self._base(door)}?token={door.token}"

    def single_use_url(self, door: Door) -> str:
        """Return an address for one visit."""
        return f"{self._base(door)}?token={door.ticket()}"

    def _base(self, door: Door) -> str:
        return self.address.base(self.server_port) + (f"{door.path}/"[1:])

    def door_of(self, path: str) -> Door | None:
        """Return the door that an address is behind; None if there is none."""
        for door in self.doors:
            if path.startswith(f"{door.path}/"):
                return door
        return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break off; the page asks again."""


class _Handler(BaseHTTPRequestHandler):
    server: DeskServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a reply's body waits 40 ms until its head is confirmed
    timeout = SLOWEST

    def do_GET(self) -> None:
        if not self._is_for_us():
            return
        path, _, query = self.path.partition("?")
        door = self.server.door_of(path)
        token = parse_qs(query).get("token", [""])[0]
        if door is not None and token and path == f"{door.path}/":
            self._enter(door, token)
        elif self._has_token(door):
            self._file("" if door is None else path.removeprefix(door.path))

    def do_POST(self) -> None:
        self.close_connection = True  # until the body has been read
        door = self.server.door_of(self.path)
        if not (self._is_for_us() and self._has_token(door) and self._is_from_our_page()):
            return
        if door is None or self.path != f"{door.path}/ask":
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        request = self._body()
        if request is not None:
            reply = json.dumps(door.desk.handle(request), allow_nan=False)
            self._send(HTTPStatus.OK, "application/json", reply.encode())

    # Who is let in --------------------------------------------------------------------

    def _is_for_us(self) -> bool:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) == 1 and self.server.address.is_ours(hosts[0]):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "This desk is not known by this name.")
        return False

    def _has_token(self, door: Door | None) -> bool:
        """Tell whether a visitor has the token of this door; where there is none, of any."""
        cookies, port = self.headers.get("Cookie", ""), self.server.server_port
        doors = self.server.doors if door is None else [door]
        if any(each.opens_for(cookies, port) for each in doors):
            return True
        self._refuse(
            HTTPStatus.FORBIDDEN,
            "This desk needs its token: open the address that the program printed.",
        )
        return False

    def _is_from_our_page(self) -> bool:
        if self.server.address.is_our_page(self.headers.get("Origin"), self.headers["Host"]):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "This request does not come from the desk's page.")
        return False

    def _enter(self, door: Door, token: str) -> None:
        """Give the cookie to a visitor with the token, and redirect to the address without it."""
        if not door.admits(token):
            self._refuse(
                HTTPStatus.FORBIDDEN,
                "This address is no longer valid: open the one that the program printed last.",
            )
            return
        cookie = f"{door.cookie(self.server.server_port)}={door.token}"
        cookie += "; HttpOnly; SameSite=Strict; Path=/"
        cookie += "; Secure" if self.server.address.is_encrypted else ""
        self._send(HTTPStatus.SEE_OTHER, "text/plain", b"", Location="./", **{"Set-Cookie": cookie})

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
    *sessions: LabelingSession,
    port: int = 0,
    host: str = LOCAL_HOST,
    url: str | None = None,
    open_browser: Callable[[str], Any] | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the desk until Ctrl-C.

    Parameters
    ----------
    *sessions : LabelingSession
        One for each annotator, see `LabelingSession.colleague`.
    port, host, url
        As in `DeskServer`.
    open_browser : callable, optional
        Given an address for one visit (`webbrowser.open`), where there is one annotator.
    announce : callable
        Given the lines for the terminal.

    Raises
    ------
    DeskError
        The port is not available.
    """
    with DeskServer(*sessions, port=port, host=host, url=url) as server:
        server.run(open_browser=open_browser, announce=announce)
