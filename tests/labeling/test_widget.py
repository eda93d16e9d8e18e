"""The desk in a notebook, as its messages."""

import subprocess
import sys

import pytest

comm = pytest.importorskip("comm", reason="needs the extra `label`: pip install 'al-tf[label]'")
pytest.importorskip("anywidget", reason="needs the extra `label`: pip install 'al-tf[label]'")

from al_tf.labeling.desk.widget import LabelingWidget  # noqa: E402


class Wire(comm.BaseComm):
    """A comm that keeps what the kernel sends."""

    def __init__(self, *args, **kwargs):
        self.sent = []
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        self.sent.append((msg_type, data))


class Notebook:
    """The front end of one widget, as far as its messages go."""

    def __init__(self, widget):
        self.widget = widget

    def send(self, content):
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        self.widget.comm.handle_msg(message)

    def ask(self, **request):
        self.send({"ask": "17-4", "request": request})
        kind, data = self.widget.comm.sent[-1]
        assert (kind, data["method"], data["content"]["to"]) == ("comm_msg", "custom", "17-4")
        return data["content"]["reply"]


@pytest.fixture
def notebook(monkeypatch, desk):
    monkeypatch.setattr(comm, "create_comm", Wire)
    with desk.session(batch_size=5, audit_share=0.0, repeat_share=0.0) as session:
        yield Notebook(LabelingWidget(session))


def test_the_front_end_travels_with_the_widget(notebook):
    kind, data = notebook.widget.comm.sent[0]
    assert kind == "comm_open"
    assert "function mount(" in data["state"]["_esm"]
    assert "export default" in data["state"]["_esm"]
    assert ".altf-frame {" in data["state"]["_css"]


def test_answers_reach_the_ledger_and_the_next_image_comes_back(notebook):
    first = notebook.ask(do="look")["item"]
    reply = notebook.ask(do="label", slot=first["slot"], label="dark")
    (event,) = notebook.widget.session.ledger.events()
    assert (event.name, event.label) == (first["name"], "dark")
    assert reply["item"]["slot"] != first["slot"]


def test_a_reloaded_page_shows_the_same_image(notebook):
    notebook.ask(do="skip", slot=notebook.ask(do="look")["item"]["slot"])
    assert notebook.ask(do="look")["item"] == notebook.ask(do="look")["item"]


def test_a_restarted_kernel_goes_on_in_the_middle_of_a_batch(notebook, desk):
    for _ in range(3):
        notebook.ask(do="label", slot=notebook.ask(do="look")["item"]["slot"], label="dark")
    before = notebook.ask(do="look")["item"]
    after = Notebook(LabelingWidget(desk.session(audit_share=0.0, repeat_share=0.0)))
    assert after.ask(do="look")["item"] == before
    assert before["position"] == 4


@pytest.mark.parametrize("content", [None, "x", [], {}, {"request": {"do": "look"}}])
def test_other_messages_are_not_answered(notebook, content):
    before = len(notebook.widget.comm.sent)
    notebook.send(content)
    assert len(notebook.widget.comm.sent) == before


def test_an_error_is_a_reply_not_a_traceback(notebook):
    assert "Unknown request" in notebook.ask(do="dance")["error"]
    assert notebook.ask()["error"]


def test_without_anywidget_the_message_names_both_ways_out():
    code = "import sys; sys.modules['anywidget'] = None; import al_tf.labeling.desk.widget"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'al-tf[label]'" in done.stderr
    assert "al-tf label" in done.stderr
