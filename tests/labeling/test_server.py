"""The desk's server: what it answers its page, and what it refuses everybody else."""

import _thread
import json
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from al_tf.errors import DeskError
from al_tf.labeling import LabelLedger
from al_tf.labeling.desk.handler import MAX_BODY
from al_tf.labeling.desk.server import DeskServer, serve
from tests import interruptible

from .visits import ask, cookie_of, get, post, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from .work import Desk

    desk = Desk(tmp_path_factory.mktemp("desk") / "labels.db")
    with desk.session() as session, serving(session) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_recorded(request):
    yield
    if "server" in request.fixturenames:
        session = request.getfixturevalue("server").doors[0].desk.session
        assert session.ledger.events() == []


# What the page gets


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/desk.js", "text/javascript"),
        ("/buttons.js", "text/javascript"),
        ("/desk.css", "text/css"),
        ("/side.css", "text/css"),
    ],
)
def test_the_page_and_its_parts(server, path, kind):
    status, headers, body = get(server, path)
    assert status == 200
    assert headers["content-type"].startswith(kind)
    assert len(body) == int(headers["content-length"]) > 100


def test_a_request_is_answered(server):
    status, headers, body = post(server)
    assert status == 200
    assert headers["content-type"] == "application/json"
    reply = json.loads(body)
    assert reply["error"] is None
    assert reply["item"]["image"].startswith("data:image/png")


def test_the_token_becomes_a_cookie_and_leaves_the_address(server):
    link = server.link(server.doors[0])
    status, headers, _ = get(server, "/" + link.partition("/?")[2].join("?."), Cookie=None)
    assert status == 403  # the token alone, with a dot too many
    status, headers, body = get(server, f"/?token={server.doors[0].token}", Cookie=None)
    assert (status, headers["location"], body) == (303, "./", b"")
    cookie, *flags = headers["set-cookie"].split("; ")
    assert cookie == cookie_of(server)
    assert {"HttpOnly", "SameSite=Strict"} <= set(flags)


def test_a_ticket_is_good_for_one_visit(server):
    path = server.single_use_url(server.doors[0]).removeprefix(
        f"http://127.0.0.1:{server.server_port}"
    )
    assert server.doors[0].token not in path
    assert get(server, path, Cookie=None)[0] == 303
    assert get(server, path, Cookie=None)[0] == 403


def test_several_requests_use_one_connection(server):
    fields = f"Host: localhost:{server.server_port}\r\nCookie: {cookie_of(server)}\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        file = connection.makefile("rb")
        for _ in range(3):
            connection.sendall(f"GET /page.js HTTP/1.1\r\n{fields}\r\n".encode())
            assert b"200" in file.readline()
            length = 0
            while (line := file.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert len(file.read(length)) == length


# What is refused


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; shows our address towards the world
        except OSError:
            pytest.skip("this machine has no address but 127.0.0.1")
        outer = probe.getsockname()[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((outer, server.server_port), timeout=5)


@pytest.mark.parametrize("path", ["/", "/page.js", "/desk.js", "/desk.css", "/nothing"])
@pytest.mark.parametrize(
    "cookie",
    [None, "", "{name}=", "{name}=wrong", "{name}={token}x", "{name}=\xff", "other={token}",
     "{name}={upper}", ";;=;", "{name}"],
)  # fmt: skip
def test_nothing_without_the_token(server, path, cookie):
    door = server.doors[0]
    if cookie is not None:
        cookie = cookie.format(
            name=door.cookie(server.server_port), token=door.token, upper=door.token.swapcase()
        )
    status, _, body = get(server, path, Cookie=cookie)
    assert status == 403
    assert b"token" in body
    assert post(server, Cookie=cookie)[0] == 403


@pytest.mark.parametrize("token", ["x", "%00", "%ff", "a" * 5000, "{token}%20", "&token={token}"])
def test_wrong_tokens(server, token):
    path = "/?token=" + token.format(token=server.doors[0].token)
    status, headers, _ = get(server, path, Cookie=None)
    assert ("set-cookie" in headers) == (token == "&token={token}")
    assert status == (303 if token == "&token={token}" else 403)


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.",
     "[::1]:{port}", "0.0.0.0:{port}", "127.0.0.1:{port}:1", "127.0.0.1@evil.example", "localhost:x"],
)  # fmt: skip
def test_other_host_names(server, host):
    host = host and host.format(port=server.server_port)
    assert get(server, "/", Host=host)[0] == 403
    assert get(server, f"/?token={server.doors[0].token}", Host=host, Cookie=None)[0] == 403
    assert post(server, Host=host, Origin=f"http://{host}")[0] == 403


@pytest.mark.parametrize("names", [("evil.example", "localhost"), ("localhost", "evil.example")])
def test_two_hosts(server, names):
    line = "\r\n".join(["GET / HTTP/1.1", *(f"Host: {name}" for name in names)])
    status, _, _ = ask(server, line, {"Cookie": cookie_of(server)}, good=False)
    assert status == 403


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:1",
     "https://127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.1:{port}/"],
)  # fmt: skip
def test_requests_of_other_pages(server, origin):
    assert post(server, Origin=origin and origin.format(port=server.server_port))[0] == 403


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/labels.db", "/server.py",
     "/desk.js/../server.py", "/desk.js%00", "/notebook.js", "/page.html", "/?", "http://evil.example/",
     "/desk.js?x=/etc/passwd", "//[::1", "/" + "a" * 9000, "*", "/ask"],
)  # fmt: skip
def test_no_other_address(server, path):
    status, _, body = get(server, path)
    known = path.partition("?")[0] in ("/", "/desk.js")
    assert status == (200 if known else 404)
    assert b"root:x:0" not in body
    assert b"def " not in body
    if not known:
        assert post(server, path=path)[0] == (200 if path == "/ask" else 404)


def test_the_grid_s_requests_need_the_token_too_and_have_the_same_address(server):
    image = server.doors[0].desk.session.pool.ids[0]
    requests = [
        {"do": "review"}, {"do": "thumbnails", "images": [image]}, {"do": "alike", "image": image},
        {"do": "change", "label": "dark", "images": {image: None}}, {"do": "takeback", "last": 1},
        {"do": "past", "step": -1}, {"do": "image", "image": image},
    ]  # fmt: skip
    for request in requests:
        body = json.dumps(request).encode()
        assert post(server, body, Cookie=None)[0] == 403
        assert post(server, body, Origin="http://evil.example")[0] == 403
        assert get(server, f"/{request['do']}")[0] == 404
    status, _, body = post(server, json.dumps(requests[1]).encode())
    assert status == 200
    assert list(json.loads(body)["thumbnails"]) == [image]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "<b>"])
def test_other_methods(server, method):
    status, headers, body = ask(server, f"{method} / HTTP/1.1")
    assert status == 501
    assert headers["content-type"].startswith("text/plain")
    assert b"<" not in body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Length": str(MAX_BODY + 1)}, 413),
        ({"Content_Length": "9" * 5000}, 413),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "+5"}, 411),
        ({"Content_Length": "²"}, 411),
        ({"Content_Length": "1_0"}, 411),
        ({"Content_Length": None}, 411),
        ({"Transfer_Encoding": "chunked"}, 411),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": None}, 415),
    ],
)
def test_bodies_that_are_not_taken(server, headers, status):
    assert post(server, **headers)[0] == status


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"look"', b"{", b"\xff\xfe", b"[" * 10_000, b'{"do":' * 2_000,
     b"9" * 6_000, b"nan", b"\x00"],
)  # fmt: skip
def test_bodies_that_are_no_request(server, body):
    status, _, text = post(server, body)
    assert (status, text) == (400, b"A request must be a JSON object.")


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "label", "slot": 1, "label": "../../etc/passwd"},
        {"do": "label", "slot": 10**30, "label": "dark"},
        {"do": "label", "slot": float("nan"), "label": "dark"},
        {"do": "label", "slot": [[]], "label": {"$gt": ""}},
        {"do": "__class__"},
        {"do": "x" * 10_000},
    ],
)
def test_requests_that_make_no_sense(server, request_):
    status, _, body = post(server, json.dumps(request_).encode())
    assert status == 200
    error = json.loads(body)["error"]
    assert error
    assert len(error) < 500


@pytest.mark.parametrize(
    "raw",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n",
     b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"GET /" + b"a" * 70_000,
     b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", b"\x00" * 1000],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_http_leaves_the_server_standing(server, raw):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert b"200 OK" not in answer
    assert b"Traceback" not in answer
    assert post(server)[0] == 200


def test_a_connection_that_says_nothing_holds_up_nobody(server):
    idle = [
        socket.create_connection(("127.0.0.1", server.server_port), timeout=10) for _ in range(50)
    ]
    try:
        assert post(server)[0] == 200
    finally:
        for connection in idle:
            connection.close()


def test_every_answer_forbids_what_the_page_does_not_need(server):
    answers = [get(server, "/"), get(server, "/x"), get(server, "/", Cookie=None), post(server)]
    answers += [post(server, b"x"), ask(server, "PUT / HTTP/1.1"), get(server, "/", Host="x")]
    assert len({status for status, _, _ in answers}) >= 5
    for _, headers, _ in answers:
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers
        assert "Python" not in headers["server"]


def test_the_page_has_no_script_of_its_own(server):
    page = get(server, "/")[2].decode()
    assert re.findall(r"<script(.*?)>(.*?)</script>", page, re.DOTALL) == [
        (' type="module" src="page.js"', "")
    ]
    assert not re.search(r"\son\w+=|style=|<style|https?:", page)


# Opening and closing


def test_a_port_that_is_taken(server, desk):
    with (
        desk.session() as session,
        pytest.raises(DeskError, match=r"is not available.*another one"),
    ):
        DeskServer(session, port=server.server_port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(desk, port):
    with desk.session() as session, pytest.raises(DeskError, match=f"Port {port}"):
        DeskServer(session, port=port)


def test_serve_tells_the_address_and_opens_a_browser(desk, ctrl_c):
    lines, visited = [], []

    def browser(url):
        visited.append(url)
        _thread.interrupt_main()

    with desk.session() as session:
        desk.answer(session, 3)
        serve(session, open_browser=browser, announce=lines.append)
    address = lines[0].split()[-1]
    assert address.startswith("http://127.0.0.1:")
    assert visited[0] != address  # a ticket, not the token
    assert lines[-1] == f"\nStopped with 3 labels in {desk.path}."


def test_the_command_serves_a_folder_and_keeps_what_was_answered(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        Image.new("L", (20, 20), 40 * i).save(folder / f"{i}.png")
    ledger = tmp_path / "labels.db"
    command = [
        sys.executable,
        "-c",
        "from al_tf.cli.main import main; main()",
        "label",
        str(folder),
    ]
    command += ["--classes", "good, not <b>good</b>", "--ledger", str(ledger), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible
    ) as process:
        port, token = re.search(r":(\d+)/\?token=(\S+)", process.stdout.readline()).groups()

        class Server:
            server_port, doors = (
                int(port),
                [SimpleNamespace(token=token, cookie="al_tf_desk_{}".format)],
            )

        item = json.loads(post(Server)[2])["item"]
        answer = {"do": "label", "slot": item["slot"], "label": "not <b>good</b>"}
        assert json.loads(post(Server, json.dumps(answer).encode())[2])["error"] is None
        process.send_signal(signal.SIGINT)
        assert "Stopped with 1 labels" in process.stdout.read()
    assert process.returncode == 0
    (event,) = LabelLedger(ledger, read_only=True).events()
    assert (event.name, event.label) == (item["name"], "not <b>good</b>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--classes", "a,b"], "nowhere: no such folder"),
        (["empty", "--classes", "a,b"], "expected image files"),
        ([".", "--classes", "a"], "two or more different names"),
        ([".", "--classes", "a,b", "--strategy", "best"], "Unknown strategy 'best'"),
        ([".", "--classes", "a,b", "--batch", "0"], "batch_size must be"),
        ([".", "--classes", "a,b", "--port", "99999"], "Port 99999"),
        ([".", "--classes", "a,b", "--ledger", "1.png"], "not a label ledger"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(
    tmp_path, monkeypatch, capsys, arguments, message
):
    from al_tf.cli.main import main

    Image.new("L", (20, 20)).save(tmp_path / "1.png")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    command = ["al-tf", "label", "--ledger", "l.db", "--no-browser", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error
    assert error.count("\n") == 1
