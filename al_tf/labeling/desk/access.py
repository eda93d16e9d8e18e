"""Who is let in to the desk's server: the addresses that it answers at, and a token for each annotator."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import threading
from collections.abc import Collection, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from .protocol import Desk

LOCAL_HOST = "127.0.0.1"
_LOCAL_NAMES = frozenset({LOCAL_HOST, "localhost"})
_HOST_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.ASCII | re.IGNORECASE)
LONGEST_NAME = 100


class Address:
    """Where a desk can be reached.

    Parameters
    ----------
    host : str
        Name or IP address of this machine at which the server listens.
    url : str, optional
        Address that the links hold, where it is another one: that of a proxy in front.

    Raises
    ------
    ValueError
        `url` is no address of a page, or is missing although `host` stands for every address of
        this machine.
    """

    def __init__(self, host: str = LOCAL_HOST, url: str | None = None) -> None:
        self.host, self._url = host, url
        self._names: set[str] = set(_LOCAL_NAMES)
        self._origins: set[str] = set()
        if url is not None:
            parts = _checked(url)
            self._names.add(str(parts.hostname))
            self._origins.add(f"{parts.scheme}://{parts.netloc}".lower())
        elif _is_unspecified(host):
            raise ValueError(
                f"Host {host!r} is every address of this machine, none that a link could hold. Add "
                "the one that others use: --url http://192.168.1.5:8000 --port 8000, for example."
            )
        if not _is_unspecified(host):
            self._names.add(host.lower())

    def base(self, port: int) -> str:
        """Return the address that all links begin with; it ends with a slash."""
        if self._url is not None:
            return self._url.rstrip("/") + "/"
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}/"

    def is_ours(self, header: str) -> bool:
        """Return whether a Host header names this desk.

        No other name may be used for it, so that no name of an attacker can be pointed here (DNS
        rebinding).
        """
        match = _HOST_HEADER.fullmatch(header)
        return match is not None and match[1].strip("[]").lower() in self._names

    def is_our_page(self, origin: str | None, host: str) -> bool:
        """Return whether an Origin header is that of this desk's page.

        Parameters
        ----------
        origin : str or None
        host : str
            The Host header of the same request, which `is_ours`.
        """
        return origin is not None and (origin == f"http://{host}" or origin in self._origins)

    @property
    def is_encrypted(self) -> bool:
        """Whether the links are https."""
        return self._url is not None and self._url.lower().startswith("https:")

    @property
    def warning(self) -> str | None:
        """What to know about a desk that other machines reach; None of one for this machine alone."""
        name = self.host if self._url is None else str(urlsplit(self._url).hostname)
        if _is_local(self.host) and _is_local(name):
            return None
        risk = "Other machines can reach this desk: whoever has a link can answer in that name."
        if self.is_encrypted:
            return risk
        return (
            f"{risk} http is not encrypted: whoever can watch the network sees images, answers and "
            "links. Use it in a network that you trust, or behind a proxy with https (--url)."
        )


class Door:
    """One annotator's way in: their desk, and the token that makes a visitor this annotator.

    Parameters
    ----------
    annotator : str
        Who comes in here.
    number : int or None
        Of several doors of one server, from 1; it is part of the address, so that one browser can
        go through two of them. None if there is only this one.
    is_referee : bool
        Whether they see the labels of all, and settle disagreements.

    Attributes
    ----------
    desk : Desk or None
        What is behind the door; None until the folder is open.
    token : str
        Every request must carry it.
    path : str
        Before all addresses behind this door: ``""`` or ``"/1"``.
    """

    def __init__(
        self, annotator: str, number: int | None = None, *, is_referee: bool = True
    ) -> None:
        self.annotator, self.is_referee = annotator, is_referee
        self.desk: Desk | None = None
        self.token = secrets.token_urlsafe(32)
        self.path = "" if number is None else f"/{number}"
        self._cookie = "al_tf_desk" if number is None else f"al_tf_desk_{number}"
        self._tickets: set[str] = set()
        self._lock = threading.Lock()

    def ticket(self) -> str:
        """Return a token for one visit."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._tickets.add(ticket)
        return ticket

    def admits(self, token: str) -> bool:
        """Return whether a visitor with this token is let in; a ticket is used up."""
        given = token.encode()
        with self._lock:
            for ticket in self._tickets:
                if hmac.compare_digest(ticket.encode(), given):
                    self._tickets.remove(ticket)
                    return True
        return self._knows(token)

    def cookie(self, port: int) -> str:
        """Return the name of the cookie; cookies know no ports, so the port is in the name."""
        return f"{self._cookie}_{port}"

    def opens_for(self, header: str, port: int) -> bool:
        """Return whether a Cookie header has the token."""
        try:
            cookies = SimpleCookie(header)
        except CookieError:
            return False
        morsel = cookies.get(self.cookie(port))
        return morsel is not None and self._knows(morsel.value)

    def _knows(self, token: str) -> bool:
        """Return whether this is the token, in a time that does not depend on how much is right."""
        return hmac.compare_digest(self.token.encode(), token.encode())


def doors_for(annotators: Sequence[str], referees: Collection[str]) -> list[Door]:
    """Return a door for each annotator; `referees` are those of them who settle disagreements."""
    numbers = [None] if len(annotators) == 1 else range(1, len(annotators) + 1)
    return [
        Door(name, number, is_referee=name in referees)
        for name, number in zip(annotators, numbers, strict=True)
    ]


def check_annotators(names: Sequence[str]) -> list[str]:
    """Return the names of annotators without spaces around them.

    Raises
    ------
    ValueError
        One is empty, too long, cannot be printed, or is there twice, whatever its case.
    """
    stripped = [name.strip() for name in names]
    for name in stripped:
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise ValueError(
                f"The name of an annotator has 1 to {LONGEST_NAME} printable characters; got {name!r}."
            )
    if len({name.casefold() for name in stripped}) < len(stripped):
        raise ValueError(f"Each annotator needs a name of their own; got {', '.join(stripped)}.")
    return stripped


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_valid = urlsplit(""), False
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if not (parts.scheme in ("http", "https") and parts.hostname and plain and port_is_valid):
        raise ValueError(
            f"The address in the links must be like https://desk.example.org/labels; got {url!r}."
        )
    return parts


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
