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

import os
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from ...errors import DeskError
from ..background import short_waits
from .access import LOCAL_HOST, Address, Door, doors_for
from .data_urls import PictureUrls
from .handler import DeskHandler, ServerWithDoors
from .opening import Opening
from .protocol import Desk
from .wording import error_line

if TYPE_CHECKING:
    from ..session import LabelingSession

POLL_SECONDS = 0.1
"""Until the server notices that it is to stop."""
Tell = Callable[[str], None]
"""Takes a line for people."""


class DeskServer(ServerWithDoors):
    """The desk of one annotator, or of several who share a pool and a model.

    Parameters
    ----------
    *sessions : LabelingSession
        One for each annotator. If none is given, say with `expect` who will come, and `attach`
        their sessions once they are open: until then the page says how far the opening is.
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
        One for each annotator.
    opening : Opening
        What the pages are told until the sessions are attached.
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
        self.opening = Opening()
        if sessions:
            self.attach(*sessions)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), DeskHandler)
        except (OSError, OverflowError) as error:
            raise DeskError(
                f"Port {port} of {host} is not available ({error}). Name another one, or 0 for "
                "any that is free; the host must be an address of this machine."
            ) from error

    def expect(self, annotators: Sequence[str], referees: Collection[str] = ()) -> None:
        """Let these annotators in; their sessions are attached later."""
        self.doors = doors_for(annotators, referees)

    def attach(self, *sessions: LabelingSession) -> None:
        """Serve these sessions, which are on one pool, in the order of the doors."""
        if not self.doors:
            referees = [session.annotator for session in sessions if session.is_referee]
            self.expect([session.annotator for session in sessions], referees)
        pictures = PictureUrls(sessions[0].pool)
        for door, session in zip(self.doors, sessions, strict=True):
            door.desk = Desk(session, pictures)
        self.opening.succeed()

    @short_waits()
    def run(
        self,
        open_sessions: Callable[[Tell], Sequence[LabelingSession]] | None = None,
        *,
        open_browser: Callable[[str], Any] | None = None,
        announce: Tell = print,
    ) -> None:
        """Serve until Ctrl-C; meanwhile no thread of this process holds the others up for long.

        Parameters
        ----------
        open_sessions : callable, optional
            Called once the page is served, with a function that takes a line on what is being
            done; returns the sessions to `attach`. What it raises the page says too.
        open_browser, announce
            As in `serve`.
        """
        serving = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="al_tf desk", daemon=True
        )
        serving.start()
        try:
            for line in self._welcome():
                announce(line)
            if open_browser is not None and len(self.doors) == 1:
                self._start_browser(open_browser)
            if open_sessions is not None:
                self._open(open_sessions)
                announce("The folder is open.")
            while serving.is_alive():
                serving.join(1.0)  # with a limit, so that Ctrl-C is noticed on every system
        except KeyboardInterrupt:
            desk = self.doors[0].desk
            if desk is None:
                raise
            labels, path = desk.session.progress().labels, desk.session.ledger.path
            announce(f"\nStopped with {labels} labels in {path}.")
        finally:
            self.shutdown()

    def _open(self, open_sessions: Callable[[Tell], Sequence[LabelingSession]]) -> None:
        try:
            self.attach(*open_sessions(self.opening.tell))
        except Exception as error:
            self.opening.fail(error_line(error))
            raise

    def _start_browser(self, open_browser: Callable[[str], Any]) -> None:
        ticket = self.single_use_url(self.doors[0])

        def start() -> None:
            if open_browser(ticket) is False:  # there is none
                self.opening.expect_browser(False)

        self.opening.expect_browser(True)
        threading.Thread(target=start, daemon=True).start()

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
            referees = [door.annotator for door in self.doors if door.is_referee]
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

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break off; the page asks again."""


def serve(
    *sessions: LabelingSession,
    port: int = 0,
    host: str = LOCAL_HOST,
    url: str | None = None,
    open_browser: Callable[[str], Any] | None = None,
    announce: Tell = print,
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
