"""Where results are written: never over a ledger, an image or a model, and known before the work is done."""

import pytest
from typer.testing import CliRunner

from al_tf import LinearProbeClassifier
from al_tf.cli.main import app
from al_tf.errors import StorageError
from al_tf.files import check_replaceable, write_json
from al_tf.labeling import LabelLedger
from al_tf.labeling.exchange import export, predict

from .makers import make_folder

IMAGES = "--images"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder of images with a ledger that labels them, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "images")
    with LabelLedger("labels.db") as book:
        book.fix_classes(["a", "b"])
    (tmp_path / "model.keras").write_bytes(b"PK")
    # what would be work: it must not have begun
    for module, name in ((predict, "predict_folder"), (export, "model_inputs")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("It went to work first."))
    return tmp_path


def refused(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(done.exception, StorageError | ValueError), (done.output, done.exception)
    return str(done.exception)


COMMANDS = [
    ("export", "labels.db", "OUT"),
    ("export", "labels.db", "OUT", "--format", "history"),
    ("export", "labels.db", "OUT", "--format", "label-studio", IMAGES, "images"),
    ("agreement", "labels.db", "--out", "OUT"),
    ("suspects", "labels.db", IMAGES, "images", "--out", "OUT"),
    ("predict", "model.keras", "images", "--out", "OUT"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:1]))
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("labels.db", "labels.db is a database, as ledgers of labels are, and is not overwritten"),
        ("images/0.png", "0.png is there already and is no text. It is not overwritten"),
        ("images", "images is a folder. Name a file."),
    ],
)
def test_a_table_replaces_nothing_but_text(work, command, out, message):
    before = {file: file.read_bytes() for file in work.rglob("*") if file.is_file()}
    assert message in refused(*(out if word == "OUT" else word for word in command))
    assert {file: file.read_bytes() for file in work.rglob("*") if file.is_file()} == before


def test_a_table_replaces_an_older_one(work):
    for _ in range(2):
        done = CliRunner().invoke(app, ["export", "labels.db", "labels.csv"])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("model.h5", r"A model's file ends in .keras; got 'model.h5'"),
        ("labels.keras", "labels.keras is a database"),
        ("text.keras", "text.keras is there already and is no model"),
        ("folder.keras", "folder.keras is a folder"),
    ],
)
def test_a_model_is_refused_its_place_before_it_is_trained(work, out, message):
    (work / "labels.db").rename(work / "labels.keras")
    (work / "text.keras").write_text("name,label\n")
    (work / "folder.keras").mkdir()
    command = ["export", "labels.keras", out, "--format", "model", IMAGES, "images"]
    assert message in refused(*command)


def test_tasks_are_not_written_to_the_file_of_their_interface(work):
    command = ["export", "labels.db", "tasks.xml", "--format", "label-studio", IMAGES, "images"]
    assert "name the tasks' file .json" in refused(*command)
    assert not (work / "tasks.xml").exists()


def test_folders_are_not_written_over_a_file(work):
    command = ["export", "labels.db", "labels.db", "--format", "folders", IMAGES, "images"]
    assert "labels.db is a file. Name a new folder." in refused(*command)


def test_nothing_written_whole_replaces_a_ledger(work):
    for write in (
        lambda: write_json(work / "labels.db", {}),
        lambda: LinearProbeClassifier(None).fit([[0], [1]], [0, 1]).save_weights("labels.db"),
        lambda: export.export_csv(LabelLedger("labels.db", read_only=True), "labels.db"),
    ):
        with pytest.raises(StorageError, match=r"labels\.db is a database"):
            write()
    assert LabelLedger("labels.db", read_only=True).classes == ("a", "b")


def test_an_empty_file_is_replaced_by_anything(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for kind in (None, "text", "zip"):
        check_replaceable(tmp_path / "empty", kind)
        check_replaceable(tmp_path / "new", kind)
