"""A desk that is not open yet: its page is there, says how far it is, and why it cannot be opened."""

import _thread
import json
import re
import sys
import threading

import pytest

from al_tf.errors import DataNotFoundError
from al_tf.labeling.desk import opening
from al_tf.labeling.desk.server import DeskServer

from .visits import get, post, serving
from .work import PATIENCE


@pytest.fixture
def server():
    with serving() as server:
        server.expect(["ann"])
        yield server


def news(server):
    status, _, body = get(server, f"{server.doors[0].path}/opening")
    assert status == 200
    return json.loads(body)


def in_a_thread(work):
    """Start some work; return a function that waits for its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()

    def result():
        thread.join(PATIENCE)
        return results[0]

    return result


class TestBeforeItIsOpen:
    def test_the_page_is_there_and_says_what_is_done(self, server):
        assert get(server, "/")[0] == get(server, "/page.js")[0] == 200
        assert news(server) == {"opening": "Starting …"}
        server.opening.tell("Looking for images in the folder: 12,000 files so far …")
        assert news(server) == {
            "opening": "Looking for images in the folder: 12,000 files so far …"
        }

    def test_nobody_is_let_in_without_the_token(self, server):
        for path in ("/", "/opening"):
            assert get(server, path, Cookie=None)[0] == 403
        assert post(server, Cookie=None)[0] == 403
        assert post(server, Origin="http://evil.example")[0] == 403
        assert get(server, "/opening", Host="evil.example")[0] == 403

    def test_a_request_waits_for_the_session(self, server, desk):
        answer = in_a_thread(lambda: post(server))
        with desk.session(annotator="ann") as session:
            server.attach(session)
            status, _, body = answer()
            assert (status, json.loads(body)["error"]) == (200, None)
            assert json.loads(body)["item"]["image"].startswith("data:image/png")
            assert news(server) == {"opening": None}

    def test_but_not_for_ever(self, server, desk, monkeypatch):
        monkeypatch.setattr(opening, "HELD_SECONDS", 0.01)
        status, headers, body = post(server)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body) == {"opening": "Starting …"}
        with desk.session(annotator="ann") as session:
            server.attach(session)
            assert post(server)[0] == 200

    def test_each_annotator_has_a_door_from_the_beginning(self, desk):
        with serving() as server, desk.session(annotator="ann", overlap=0.5) as session:
            server.expect(["ann", "ben"], ["ann"])
            assert [door.path for door in server.doors] == ["/1", "/2"]
            assert [door.is_referee for door in server.doors] == [True, False]
            tokens = [door.token for door in server.doors]
            server.attach(session, session.colleague("ben"))
            assert [door.token for door in server.doors] == tokens
            assert [door.desk.session.annotator for door in server.doors] == ["ann", "ben"]


@pytest.mark.usefixtures("ctrl_c")
class TestRun:
    def run(self, open_sessions, browser=None):
        """Open a desk; return what was announced until it is stopped as by Ctrl-C."""
        lines = []

        def announce(line):
            lines.append(line)
            if line == "The folder is open.":
                _thread.interrupt_main()

        with DeskServer() as server:
            server.expect(["ann"])
            server.run(
                lambda tell: open_sessions(server, tell), open_browser=browser, announce=announce
            )
        return lines

    def test_the_page_is_served_while_the_sessions_are_opened(self, desk):
        seen, turns, usual = [], [], sys.getswitchinterval()

        def open_sessions(server, tell):
            tell("Nearly there …")
            turns.append(sys.getswitchinterval())
            seen.extend([get(server, "/")[0], news(server)])
            return [desk.session(annotator="ann")]

        lines = self.run(open_sessions)
        assert seen == [200, {"opening": "Nearly there …"}]
        assert turns[0] < usual == sys.getswitchinterval()
        assert re.search(r"127\.0\.0\.1:\d+/\?token=", lines[0])
        assert lines[-2:] == ["The folder is open.", f"\nStopped with 0 labels in {desk.path}."]

    def test_an_error_reaches_the_page_and_the_program(self):
        answers = []

        def open_sessions(server, tell):
            answers.append(in_a_thread(lambda: post(server)))
            while not server.opening._somebody_came:
                pass
            raise DataNotFoundError("pictures: no\n  readable image.")

        with pytest.raises(DataNotFoundError, match="no\n  readable image"):
            self.run(open_sessions)
        status, headers, body = answers[0]()
        assert (status, json.loads(body)) == (503, {"failed": "pictures: no readable image."})
        assert "retry-after" not in headers

    def test_an_error_waits_for_a_browser_that_is_being_started(self):
        heard = []

        def browser(url):
            port = int(re.search(r":(\d+)/", url)[1])
            started.wait(PATIENCE)
            heard.append(news(servers[port]))
            ended.set()

        started, ended, servers = threading.Event(), threading.Event(), {}

        def open_sessions(server, tell):
            servers[server.server_port] = server
            started.set()
            raise ValueError("batch_size must be 1 or more.")

        with pytest.raises(ValueError, match="batch_size"):
            self.run(open_sessions, browser)
        assert ended.wait(PATIENCE)
        assert heard == [{"failed": "batch_size must be 1 or more."}]

    def test_but_not_for_one_that_is_not_there(self, monkeypatch):
        monkeypatch.setattr(opening, "BROWSER_SECONDS", 3600)

        def open_sessions(server, tell):
            raise ValueError("batch_size must be 1 or more.")

        with pytest.raises(ValueError, match="batch_size"):
            self.run(open_sessions, lambda url: False)

    def test_ctrl_c_stops_the_opening(self):
        def open_sessions(server, tell):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.run(open_sessions)
