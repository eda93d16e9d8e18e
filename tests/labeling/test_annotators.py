"""Several annotators at one server: who is let in where, in whose name, and at which address."""

import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from al_tf.errors import DeskError
from al_tf.labeling import LabelLedger
from al_tf.labeling.desk.access import Address, check_annotators
from al_tf.labeling.desk.server import DeskServer
from al_tf.labeling.desk_settings import read_settings
from al_tf.labeling.review_list import SHOWN
from tests import interruptible

from .makers import make_folder
from .visits import ask, cookie_of, get, post, serving
from .work import Desk

REQUESTS = [
    {"do": "look"}, {"do": "status"}, {"do": "ahead"}, {"do": "undo", "slot": 1}, {"do": "retrain"},
    {"do": "skip", "slot": 1}, {"do": "label", "slot": 1, "label": "dark"},
    {"do": "review", "show": "disagreements"}, {"do": "past", "step": -1}, {"do": "takeback", "last": 1},
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("desk") / "labels.db")
    with (
        desk.session(annotator="ann", overlap=0.5) as ann,
        serving(ann, ann.colleague("ben"), ann.colleague("cid")) as server,
    ):
        yield server


def say(server, number, request, **headers):
    """Send a request as the page of one annotator does; return status and reply."""
    path = f"/{number + 1}/ask"
    fields = {"Cookie": cookie_of(server, number)} | headers
    status, _, body = post(server, json.dumps(request).encode(), path, **fields)
    return status, json.loads(body) if status == 200 else body


class Guest:
    """A desk of three on twelve images, where one has labeled six and ben may be asked of them."""

    def __init__(self, path, other, label):
        self.desk = Desk(path, n=12)
        with self.serving() as server:
            number = ["ann", "ben", "cid"].index(other)
            for _ in range(6):
                item = say(server, number, {"do": "look"})[1]["item"]
                answer = {"do": "label", "slot": item["slot"], "label": label, "seconds": 1}
                assert say(server, number, answer)[1]["error"] is None
            waiting = self.ledger().queue.waiting(other)
            [self.ledger().queue.release(slot.id) for slot in waiting]

    def ledger(self):
        return LabelLedger(self.desk.path)

    @contextmanager
    def serving(self):
        options = {"overlap": 1.0, "audit_share": 0.0, "repeat_share": 0.0, "batch_size": 6}
        with (
            self.desk.session(annotator="ann", **options) as ann,
            serving(ann, ann.colleague("ben"), ann.colleague("cid")) as server,
        ):
            yield server

    def give_second_opinions(self, label):
        """Answer as ben whatever he is shown, and return the replies."""
        replies = []
        with self.serving() as server:
            while (item := say(server, 1, {"do": "look"})[1]["item"]) is not None:
                answer = {"do": "label", "slot": item["slot"], "label": label, "seconds": 1}
                replies.append(say(server, 1, answer)[1])
        return replies

    def everything(self):
        """Return all that ben can get: before he is asked, while he answers, and afterwards."""
        seen = self.asked()
        with self.serving() as server:
            say(server, 1, {"do": "look"})
        seen += self.asked()
        seen += self.give_second_opinions("dark")
        return seen + self.asked()

    def asked(self):
        """Return ben's replies to honest and hostile requests about every image."""
        images = sorted(self.desk.pool.ids)
        requests = [{"do": "status"}, {"do": "ahead"}, {"do": "classes"}]
        for show in SHOWN:
            for condition in (
                {}, {"label": "dark"}, {"label": "bright"}, {"annotator": "ann"}, {"round": 0},
                {"annotator": "cid"}, {"annotator": "ben"}, {"name": "image 1"},
            ):  # fmt: skip
                requests.append({"do": "review", "show": show, **condition})
        for image in images:
            requests += [{"do": "image", "image": image}, {"do": "alike", "image": image}]
            requests += [{"do": "past", "image": image, "step": step} for step in (-1, 1)]
        requests += [
            {"do": "change", "label": label, "images": dict.fromkeys(images, event)}
            for event in range(1, 7)
            for label in ("dark", "bright", None)
        ]
        with self.serving() as server:
            replies = [say(server, 1, request)[1] for request in requests]
            before = len(self.ledger().events())
            for request, reply in zip(requests, replies, strict=True):
                assert not reply.get("changed"), request
            assert len(self.ledger().events()) == before
        return replies


class TestTokens:
    def test_each_has_a_link_an_address_and_a_name(self, server):
        links = [server.link(door) for door in server.doors]
        assert len({door.token for door in server.doors}) == 3
        for number, (link, name) in enumerate(zip(links, ("ann", "ben", "cid"), strict=True)):
            base = f"http://127.0.0.1:{server.server_port}"
            path = link.removeprefix(base)
            assert path.startswith(f"/{number + 1}/?token=")
            status, headers, _ = get(server, path, Cookie=None)
            assert (status, headers["location"]) == (303, "./")
            assert headers["set-cookie"].startswith(cookie_of(server, number) + ";")
            assert get(server, f"/{number + 1}/", Cookie=cookie_of(server, number))[0] == 200
            assert say(server, number, {"do": "status"})[1]["status"]["annotator"] == name

    def test_one_browser_may_hold_several(self, server):
        both = f"{cookie_of(server, 0)}; {cookie_of(server, 1)}"
        for number, name in enumerate(("ann", "ben")):
            reply = say(server, number, {"do": "status"}, Cookie=both)[1]
            assert reply["status"]["annotator"] == name
        assert say(server, 2, {"do": "status"}, Cookie=both)[0] == 403

    @pytest.mark.parametrize("path", ["", "page.js", "desk.css", "nothing", "ask"])
    def test_no_door_opens_with_the_token_of_another(self, server, path):
        for cookie in (
            None, cookie_of(server, 0), cookie_of(server, 2),
            cookie_of(server, 0).replace("desk_1_", "desk_2_"),
            cookie_of(server, 1).replace("desk_2_", "desk_1_"),
        ):  # fmt: skip
            assert get(server, f"/2/{path}", Cookie=cookie)[0] == 403
        assert get(server, f"/2/?token={server.doors[0].token}", Cookie=None)[0] == 403
        ticket = server.single_use_url(server.doors[0]).partition("=")[2]
        assert get(server, f"/2/?token={ticket}", Cookie=None)[0] == 403

    @pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request["do"])
    def test_no_request_is_answered_without_the_token_of_that_annotator(self, server, request_):
        before = LabelLedger(server.doors[0].desk.session.ledger.path).events()
        for cookie in (None, "al_tf_desk_2=x", cookie_of(server, 0), cookie_of(server, 2)):
            assert say(server, 1, request_, Cookie=cookie)[0] == 403
        for origin in (None, "null", "http://evil.example"):
            assert say(server, 1, request_, Origin=origin)[0] == 403
        assert say(server, 1, request_, Host="evil.example")[0] == 403
        assert LabelLedger(server.doors[0].desk.session.ledger.path).events() == before

    @pytest.mark.parametrize(
        "path",
        ["/", "/ask", "/0/", "/4/ask", "/1", "/1/2/ask", "/01/", "/ben/", "/1/../2/ask"],
    )
    def test_there_is_no_other_address(self, server, path):
        assert get(server, path, Cookie=cookie_of(server, 0))[0] == 404
        assert get(server, path, Cookie=None)[0] == 403
        assert post(server, path=path, Cookie=cookie_of(server, 0))[0] == 404

    def test_no_parameter_says_who_one_is(self, server):
        item = say(server, 1, {"do": "look"})[1]["item"]
        answer = {"do": "label", "slot": item["slot"], "label": "dark", "annotator": "ann"}
        assert say(server, 1, answer)[1]["error"] is None
        session = server.doors[1].desk.session
        assert session.ledger.last_event("ben").image == item["id"]
        assert session.ledger.last_event("ann") is None
        assert say(server, 1, {"do": "undo", "slot": None, "annotator": "ann"})[0] == 200
        theirs = say(server, 0, {"do": "look"})[1]["item"]["slot"]
        reply = say(server, 1, {"do": "label", "slot": theirs, "label": "dark"})[1]
        assert "not waiting for an answer by 'ben'" in reply["error"]


class TestWorkTogether:
    def test_disagreements_are_listed_settled_and_undone_by_request(self, tmp_path):
        desk = Desk(tmp_path / "labels.db", n=12)
        options = {"overlap": 1.0, "audit_share": 0.0, "repeat_share": 0.0, "batch_size": 6}
        with (
            desk.session(annotator="ann", **options) as ann,
            serving(ann, ann.colleague("ben")) as server,
        ):
            for number, label in ((0, "dark"), (1, "bright"), (0, "bright"), (1, "bright")):
                while (item := say(server, number, {"do": "look"})[1]["item"]) is not None:
                    answer = {"do": "label", "slot": item["slot"], "label": label}
                    assert say(server, number, answer)[1]["error"] is None
                    if number == 0 and ann.progress().labels == 6 and label == "dark":
                        break
            review = say(server, 0, {"do": "review", "show": "disagreements"})[1]["review"]
            assert review["total"] == 6
            assert {tuple(map(tuple, row["opinions"])) for row in review["rows"]} == {
                (("ann", "dark"), ("ben", "bright"))
            }
            images = {row["image"]: row["event"] for row in review["rows"][:4]}
            change = {"do": "change", "label": "dark", "images": images}
            reply = say(server, 0, change)[1]
            assert reply["did"] == "Settled 4 images as \u2068dark\u2069."
            assert reply["status"]["disputed"] == 2
            agreement = reply["status"]["agreement"]
            assert (agreement["same"]["n"], agreement["same"]["value"]) == (12, 0.5)
            assert agreement["confused"] == [["bright", "dark", 6]]
            last = say(server, 0, {"do": "review"})[1]["review"]["last"]
            assert "4 images" in say(server, 0, {"do": "takeback", "last": last})[1]["did"]
            assert ann.progress().disputed == 6

    @pytest.mark.parametrize("whose", ["the referee's first label", "a colleague's first label"])
    def test_nothing_in_any_reply_depends_on_a_label_that_is_not_to_be_known(self, tmp_path, whose):
        """Whatever somebody else said, whoever gives the second opinion gets the same replies."""
        other = "ann" if whose.startswith("the referee") else "cid"
        logs = []
        for label in ("dark", "bright"):
            (tmp_path / label).mkdir()
            logs.append(Guest(tmp_path / label / "l.db", other, label).everything())
        for mine, theirs in zip(*logs, strict=True):
            assert mine == theirs

    def test_a_disagreement_is_settled_by_referees_alone(self, tmp_path):
        guest = Guest(tmp_path / "l.db", "ann", "dark")
        guest.give_second_opinions("bright")
        with guest.serving() as server:
            ledger = guest.ledger()
            disputed = {i: event.id for i, event in ledger.answers().items() if event.in_dispute}
            assert len(disputed) == 6
            before = ledger.events()
            for label in ("dark", "bright", None):
                change = {"do": "change", "label": label, "images": disputed}
                status, reply = say(server, 1, change)
                assert (status, reply["error"], reply["changed"]) == (200, None, 0)
            for show in sorted(set(SHOWN) - {"suspects"}):  # which need a probe
                rows = say(server, 1, {"do": "review", "show": show})[1]["review"]["rows"]
                assert {row["label"] for row in rows if row["image"] in disputed} <= {"bright"}
                assert not any(row["opinions"] for row in rows)
                rows = say(server, 2, {"do": "review", "show": show})[1]["review"]["rows"]
                assert not {row["image"] for row in rows} & disputed.keys()
            for number, labels in ((1, 12), (2, 0)):
                status = say(server, number, {"do": "status"})[1]["status"]
                assert (status["disputed"], status["agreement"]) == (0, None)
                assert status["perClass"] == [0, labels]
            assert ledger.events() == before
            change = {"do": "change", "label": "dark", "images": disputed}
            assert say(server, 0, change)[1]["changed"] == 6
            rows = say(server, 1, {"do": "review"})[1]["review"]["rows"]
            assert {row["label"] for row in rows if row["image"] in disputed} == {"dark"}

    def test_no_neighbour_gives_away_what_awaits_a_second_opinion(self, tmp_path):
        desk = Desk(tmp_path / "l.db", n=40)
        options = {"overlap": 1.0, "audit_share": 0.0, "repeat_share": 0.0, "batch_size": 8}
        with desk.session(annotator="ann", **options) as ann:
            ben = ann.colleague("ben")
            shown = {item.image_id for item in desk.answer(ann, 16)}
            own = {item.image_id for item in desk.answer(ben, 4) if item.strategy != "overlap"}
            assert own
            ann.retrain(wait=True)
            item = ben.next()
            while item.strategy == "overlap" or item.image_id in shown:
                ben.skip(slot=item.slot)
                item = ben.next()
            known = {event.image for event in ben._view.answers().values()}
            assert item.neighbours
            assert {other.image_id for other in item.neighbours} <= known
            assert known < ann.ledger.answers().keys()

    def test_four_browsers_at_once_answer_each_image_once(self, tmp_path):
        desk = Desk(tmp_path / "labels.db", n=80)
        options = {"overlap": 0.25, "repeat_share": 0.0, "batch_size": 5}
        names = ["ben", "cid", "dee"]
        with (
            desk.session(annotator="ann", **options) as ann,
            serving(ann, *map(ann.colleague, names)) as server,
            ThreadPoolExecutor(4) as threads,
        ):

            def work(number):
                done = 0
                while (item := say(server, number, {"do": "look"})[1]["item"]) is not None:
                    answer = {"do": "label", "slot": item["slot"], "label": desk.truth(item["id"])}
                    done += say(server, number, answer)[1]["error"] is None
                return done

            done = sum(threads.map(work, range(4)))
            while any(counts := list(map(work, range(4)))):  # what the last answers made due
                done += sum(counts)
            events = ann.ledger.events()
        assert len(events) == done == len({(e.image, e.annotator) for e in events})
        assert len({e.image for e in events if e.purpose != "second"}) == 80
        assert {e.annotator for e in events} == {"ann", *names}


class TestAddresses:
    def test_without_being_asked_a_desk_is_for_this_machine(self):
        address = Address()
        assert (address.base(80), address.warning) == ("http://127.0.0.1:80/", None)
        assert address.is_ours("localhost:80")
        assert not address.is_ours("192.168.1.5:80")

    @pytest.mark.parametrize(
        ("host", "url", "ours", "base"),
        [
            ("192.168.1.5", None, "192.168.1.5:80", "http://192.168.1.5:80/"),
            ("fe80::1", None, "[fe80::1]:80", "http://[fe80::1]:80/"),
            ("Desk.local", None, "desk.LOCAL:80", "http://Desk.local:80/"),
            ("0.0.0.0", "http://10.0.0.7:80", "10.0.0.7:80", "http://10.0.0.7:80/"),
            (
                "127.0.0.1",
                "https://desk.example/labels",
                "desk.example",
                "https://desk.example/labels/",
            ),
        ],
    )
    def test_a_stated_address_is_answered_and_no_other(self, host, url, ours, base):
        address = Address(host, url)
        assert address.base(80) == base
        assert address.is_ours(ours)
        assert address.is_our_page(f"http://{ours}", ours)
        assert "Other machines can reach this desk" in address.warning
        assert ("not encrypted" in address.warning) == (not base.startswith("https"))
        for name in (
            "evil.example",
            "0.0.0.0:80",
            "desk.example.evil.example",
            ours + ".",
            "",
            "a b",
        ):
            assert not address.is_ours(name)
        for origin in (None, "null", "", "http://evil.example", "https://evil.example"):
            assert not address.is_our_page(origin, ours)

    def test_behind_a_proxy_the_page_is_the_proxy_s_and_the_cookie_is_never_sent_in_clear(
        self, tmp_path
    ):
        session = Desk(tmp_path / "labels.db").session()
        with session, serving(session, url="https://desk.example/labels") as server:
            assert server.link(server.doors[0]).startswith("https://desk.example/labels/?token=")
            host, origin = "desk.example", "https://desk.example"
            path = f"/?token={server.doors[0].token}"
            status, headers, _ = get(server, path, Host=host, Cookie=None)
            assert (status, headers["location"]) == (303, "./")
            assert "Secure" in headers["set-cookie"].split("; ")
            assert post(server, Host=host, Origin=origin)[0] == 200
            assert post(server, Host=f"127.0.0.1:{server.server_port}", Origin=origin)[0] == 200
            assert post(server, Host="evil.example", Origin=origin)[0] == 403
            assert post(server, Host=host, Origin="https://evil.example")[0] == 403

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
    def test_every_address_of_a_machine_is_none_for_a_link(self, host):
        with pytest.raises(ValueError, match=r"every address of this machine.*--url"):
            Address(host)

    @pytest.mark.parametrize(
        "url", ["desk.example", "ftp://desk.example", "https://", "https://a:b@c", "https://a:99999",
                "https://a/?token=x", "https://a/#b", "http://[", "javascript:alert(1)"],
    )  # fmt: skip
    def test_what_is_no_address(self, url):
        with pytest.raises(ValueError, match="address in the links"):
            Address(url=url)

    def test_a_host_that_is_not_this_machine_s(self):
        with pytest.raises(DeskError, match=r"of 192\.0\.2\.1 is not available"):
            DeskServer(host="192.0.2.1")

    def test_another_host_is_listened_at(self, tmp_path):
        session = Desk(tmp_path / "labels.db").session()
        with session, serving(session, host="127.0.0.2") as server:
            assert server.server_address[0] == "127.0.0.2"
            assert server.link(server.doors[0]).startswith("http://127.0.0.2:")
            with pytest.raises(ConnectionRefusedError):
                ask(server, "GET / HTTP/1.1")


@pytest.mark.parametrize(
    "names", [["ann", ""], ["ann", "Ann"], ["a\nb"], ["a\u202eb"], ["x" * 101], [" "]]
)
def test_names_that_are_none(names):
    with pytest.raises(ValueError, match=r"name of an annotator|name of their own"):
        check_annotators(names)


def test_the_command_prints_a_link_for_each_and_keeps_what_both_answered(tmp_path):
    folder, ledger = make_folder(tmp_path / "images", 30), tmp_path / "labels.db"
    command = [
        sys.executable,
        "-c",
        "from al_tf.cli.main import main; main()",
        "label",
        str(folder),
    ]
    command += ["--classes", "good,bad", "--ledger", str(ledger), "--model", "cnn", "--size", "16"]
    command += ["--annotators", "ann, Zoë", "--overlap", "0.5"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", preexec_fn=interruptible
    ) as process:
        lines = [process.stdout.readline() for _ in range(5)]
        links = [
            re.fullmatch(r"  (.+): http://127\.0\.0\.1:(\d+)/(\d)/\?token=(\S+)\n", x)
            for x in lines[1:3]
        ]
        assert [link[1] for link in links] == ["ann", "Zoë"]

        class Server:
            server_port, doors = int(links[0][2]), []

        class Door:
            def __init__(self, link):
                self.token, self.cookie = link[4], f"al_tf_desk_{link[3]}_{{}}".format

        Server.doors = list(map(Door, links))
        try:
            for number in (0, 1):
                while (item := say(Server, number, {"do": "look"})[1]["item"]) is None:
                    time.sleep(0.05)  # until further files have been read
                answer = {"do": "label", "slot": item["slot"], "label": "good"}
                assert say(Server, number, answer)[1]["error"] is None
        finally:
            process.send_signal(signal.SIGINT)
        assert "Stopped with" in process.stdout.read()
    assert process.returncode == 0
    kept = LabelLedger(ledger, read_only=True)
    assert [event.annotator for event in kept.events()] == ["ann", "Zoë"]
    assert read_settings(kept).overlap == 0.5
