"""`DeskHandler`: what the desk's server answers, and to whom; `server.py` says what protects it."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from .access import Address, Door
from .front_end import FOLDER, SHARED_MODULES, STYLES
from .opening import Opening

MAX_BODY = 256 << 10  # as many images as may be changed at once
SLOWEST = 30.0  # seconds that a connection may keep us waiting
RETRY_SECONDS = "1"  # until a request that the opening of the folder outlasts should come again

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


class ServerWithDoors(ThreadingHTTPServer):
    """What a `DeskHandler` asks of its server."""

    address: Address
    doors: list[Door]
    opening: Opening

    def door_of(self, path: str) -> Door | None:
        """Return the door that an address is behind; None if there is none."""
        for door in self.doors:
            if path.startswith(f"{door.path}/"):
                return door
        return None


class DeskHandler(BaseHTTPRequestHandler):
    """One connection of a visitor."""

    server: ServerWithDoors
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a reply's body waits 40 ms until its head is confirmed
    timeout = SLOWEST

    def do_GET(self) -> None:
        """Let a visitor in, or send a file of the front end."""
        if not self._is_for_us():
            return
        path, _, query = self.path.partition("?")
        door = self.server.door_of(path)
        token = parse_qs(query).get("token", [""])[0]
        if door is not None and token and path == f"{door.path}/":
            self._enter(door, token)
        elif self._has_token(door):
            inner = "" if door is None else path.removeprefix(door.path)
            if inner == "/opening":
                self._reply(HTTPStatus.OK, self.server.opening.news())
            else:
                self._file(inner)

    def do_POST(self) -> None:
        """Answer a request of the page, once the folder is open."""
        self.close_connection = True  # until the body has been read
        door = self.server.door_of(self.path)
        if not (self._is_for_us() and self._has_token(door) and self._is_from_our_page()):
            return
        if door is None or self.path != f"{door.path}/ask":
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        request = self._body()
        if request is None:
            return
        if door.desk is None:
            self.server.opening.wait()
        if door.desk is not None:
            self._reply(HTTPStatus.OK, door.desk.handle(request))
            return
        news = self.server.opening.news()
        again = {} if "failed" in news else {"Retry-After": RETRY_SECONDS}
        self._reply(HTTPStatus.SERVICE_UNAVAILABLE, news, **again)

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

    def _reply(self, status: HTTPStatus, reply: dict[str, Any], **headers: str) -> None:
        body = json.dumps(reply, allow_nan=False).encode()
        self._send(status, "application/json", body, **headers)

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
