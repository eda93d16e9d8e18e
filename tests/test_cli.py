import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

from al_tf import list_strategies, load_dataset
from al_tf.cli.main import app, main
from al_tf.experiments import read_meta
from al_tf.labeling.desk_settings import resolve_settings
from al_tf.labeling.pool_features import model_inputs
from al_tf.network.feature_store import FeatureStore
from al_tf.plots import read_provenance

from .datasets.makers import write_image
from .network.test_feature_store import CountingBackbone

FAST = ["--dataset", "digits", "--strategies", "margin", "--seeds", "2", "--initial", "30"]
FAST += ["--batch", "10", "--rounds", "2", "--pool", "600", "--set", "model=logistic"]
FAST += ["--jobs", "0", "--no-progress"]


@pytest.fixture
def al_tf(monkeypatch, capsys):
    """Call the command line; return exit code, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["al-tf", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def experiment(al_tf, tmp_path):
    out_dir = tmp_path / "demo"
    assert al_tf("run", *FAST, "--out", out_dir)[0] == 0
    return out_dir


def test_help_answers_without_heavy_imports():
    code = (
        "import sys; sys.argv = ['al-tf', '--help']\n"
        "from al_tf.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("run", "report", "data", "strategies"):
        assert command in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_run_writes_records_and_says_what_came_out(al_tf, tmp_path):
    code, out, _ = al_tf("run", *FAST, "--out", tmp_path / "demo")
    assert code == 0
    assert "Means over 2 seeds" in out
    assert f"al-tf report {tmp_path / 'demo'}" in out
    table = pd.read_csv(tmp_path / "demo" / "results.csv")
    assert set(table["strategy"]) == {"random", "margin"}
    assert sorted(table["n_labeled"].unique()) == [30, 40, 50]
    meta = read_meta(tmp_path / "demo")
    assert meta["config"]["model"] == "logistic"
    assert meta["command"][:3] == ["al-tf", "run", "--dataset"]


def test_the_same_command_continues_and_a_longer_one_adds(al_tf, experiment):
    before = (experiment / "results.csv").read_bytes()
    assert al_tf("run", *FAST, "--out", experiment)[0] == 0
    assert (experiment / "results.csv").read_bytes() == before
    assert al_tf("run", *FAST, "--strategies", "margin,entropy", "--out", experiment)[0] == 0
    assert (experiment / "results.csv").read_bytes().startswith(before)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--epochs", "7"], 2, "epochs: 20 there, 7 asked for"),
        (["--strategies", "margn"], 2, "Unknown strategy 'margn'"),
        (["--dataset", "digitz"], 2, "Unknown dataset 'digitz'"),
        (["--set", "epochs=five"], 2, "epochs should be a valid integer; got 'five'"),
        (["--set", "epoch=5"], 2, "Unknown setting 'epoch'"),
        (["--profile", "fast"], 2, "Unknown profile 'fast'"),
        (["--backend", "dask"], 2, "A scheduler address and backend='dask' go together"),
    ],
)
def test_a_mistake_is_one_clear_error(al_tf, experiment, arguments, code, message):
    folder = experiment if "--epochs" in arguments else experiment.parent / "other"
    found, _, err = al_tf("run", *FAST, *arguments, "--out", folder)
    assert found == code
    assert err.startswith("Error: ")
    assert message in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["al-tf", "--debug", "report", "/nowhere"])
    monkeypatch.setenv("AL_TF_DEBUG", "")
    with pytest.raises(FileNotFoundError, match="No experiment in /nowhere"):
        main()


def fault_of_the_interpreter():
    return "1" + 1


def fault_of_numpy():
    return np.zeros(2) + np.zeros(3)


def fault_of_an_import():
    from al_tf.errors import nonsense  # noqa: F401


@pytest.mark.parametrize(
    ("fault", "last_line"),
    [
        (fault_of_the_interpreter, "TypeError: can only concatenate str"),
        (fault_of_numpy, "ValueError: operands could not be broadcast together"),
        (fault_of_an_import, "ImportError: cannot import name 'nonsense'"),
        (lambda: {}["key"], "KeyError: 'key'"),
        (lambda: None.shape, "AttributeError: 'NoneType' object has no attribute"),
        (lambda: int("five"), "ValueError: invalid literal for int()"),
    ],
)
def test_a_fault_in_the_code_shows_its_traceback(al_tf, monkeypatch, fault, last_line):
    monkeypatch.setattr("al_tf.strategies.list_strategies", fault)
    code, _, err = al_tf("strategies")
    assert code == 1
    assert err.startswith("Traceback")
    assert f"\n{last_line}" in err
    assert err.splitlines()[-1].startswith("Error: this is a fault in the code. Please report it")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("dataset_options={sise=3}", "Dataset 'digits' takes no option 'sise'"),  # a TypeError
        ("rounds=-1", "rounds"),  # a ValueError
    ],
)
def test_what_a_user_can_put_right_is_one_line(al_tf, tmp_path, setting, message):
    code, _, err = al_tf("run", *FAST, "--set", setting, "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith("Error: ")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", [["--help"], ["data", "list"], ["report", "nowhere"], ["rnu"]])
def test_python_m_al_tf_is_the_same_command(command):
    ways = [["-m", "al_tf"], ["-c", "from al_tf.cli.main import main; main()"]]
    module, script = (
        subprocess.run([sys.executable, *way, *command], capture_output=True, text=True)
        for way in ways
    )
    assert (module.returncode, module.stdout, module.stderr) == (
        script.returncode,
        script.stdout,
        script.stderr,
    )
    assert "python -m" not in module.stdout + module.stderr


def test_a_failed_run_has_its_own_exit_code(al_tf, experiment):
    asked = ["--strategies", "margin,expected_error"]  # of more fits than it accepts to make
    code, _, err = al_tf("run", *FAST, *asked, "--out", experiment)
    assert code == 1
    assert "2 of 6 runs failed" in err
    assert "expected_error-seed0: ValueError" in err
    assert "the same: expected_error-seed1\nThe others are complete." in err


def test_a_setting_that_fails_all_runs_is_said_once_and_can_be_put_right(al_tf, tmp_path):
    begun = ["run", *FAST, "--seeds", "4", "--out", tmp_path / "out"]
    code, _, err = al_tf(*begun, "--set", "model_params.max_iter=-1")
    assert (code, err.count("InvalidParameterError")) == (1, 1)
    assert "8 of 8 runs failed:\n  random-seed0: " in err
    assert "the same: random-seed1, random-seed2, random-seed3, margin-seed0 and 3 more" in err
    assert "The others are complete" not in err
    assert al_tf(*begun, "--set", "model_params.max_iter=50")[0] == 0
    code, _, err = al_tf(*begun, "--set", "model_params.max_iter=60")
    assert (code, "holds another experiment" in err) == (2, True)


@pytest.fixture
def folder(tmp_path):
    """Return two classes of ten images each, of two sizes."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("a", "b")):
        for i in range(10):
            image = rng.integers(0, 100 + 100 * k, (8 + i % 2, 8), dtype=np.uint8)
            write_image(tmp_path / "images" / name / f"{i}.png", image)
    return tmp_path / "images"


def test_a_message_names_the_option_of_the_command_line(al_tf, folder, tmp_path):
    arguments = ["--dataset", f"folder:{folder}", "--model", "logistic", "--jobs", "0"]
    arguments += ["--initial", "6", "--batch", "2", "--rounds", "1", "--seeds", "2"]
    code, _, err = al_tf("run", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert "or --size 64 on the command line" in err
    code, out, _ = al_tf("data", "fetch", f"folder:{folder}", "--size", "8")
    assert code == 0
    assert "16 train + 4 test images of shape (8, 8)" in out
    arguments += ["--size", "8", "--test-fraction", "0.4", "--no-progress"]
    assert al_tf("run", *arguments, "--out", tmp_path / "out")[0] == 0
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == 8


def test_workers_do_not_repeat_what_is_said_of_the_data(folder, tmp_path):
    (folder / "a" / "photo.heic").touch()
    command = [sys.executable, "-m", "al_tf", "run", "--dataset", f"folder:{folder}", *FAST[2:]]
    command += ["--initial", "6", "--batch", "2", "--rounds", "1", "--pool", "100", "--size", "8"]
    command += ["--jobs", "2", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [f"Warning: {folder}: 1 file left out: 1 .heic."]


@pytest.mark.parametrize("settings", [["--set", "dataset_options={grey=true}"], []])
def test_options_of_the_dataset_are_put_together(al_tf, monkeypatch, tmp_path, settings):
    monkeypatch.setattr("al_tf.experiments.make_plan", lambda config, jobs: config.dataset_options)
    options = ["--size", "8", "--test-fraction", "0.4", *settings]
    code, out, _ = al_tf("run", *FAST, *options, "--dry-run", "--out", tmp_path / "out")
    assert code == 0
    assert ("'grey': True" in out) == bool(settings)
    assert "'size': 8, 'test_size': 0.4" in out


@pytest.mark.parametrize("option", ["size", "test-fraction"])
def test_an_option_that_a_dataset_does_not_have(al_tf, tmp_path, option):
    code, _, err = al_tf("run", *FAST, f"--{option}", "0.5" if "-" in option else "5",
                         "--out", tmp_path / "out")  # fmt: skip
    assert code == 2
    assert "Dataset 'digits' takes no option" in err


def test_profile_flags_and_settings_by_rank(al_tf, tmp_path):
    profile = tmp_path / "mine.toml"
    profile.write_text(
        'dataset = "digits"\nmodel = "logistic"\ninitial = 20\nbatch = 5\nrounds = 9\n'
    )
    arguments = ["--profile", profile, "--batch", "6", "--rounds", "2", "--set", "rounds=1"]
    assert al_tf("run", *arguments, "--jobs", "0", "--out", tmp_path / "x")[0] == 0
    table = pd.read_csv(tmp_path / "x" / "results.csv")
    assert sorted(table["n_labeled"].unique()) == [20, 26]


def test_dry_run_prints_the_plan_and_writes_nothing(al_tf, tmp_path):
    code, out, _ = al_tf("run", *FAST, "--out", tmp_path / "plan", "--dry-run", "--jobs", "2")
    assert code == 0
    for line in (
        "runs            4 (each up to 50 labels)",
        "fits            10",
        "gradient steps",
    ):
        assert line in out
    assert "with 2 job(s)" in out
    assert "MiB per worker" in out
    assert not (tmp_path / "plan").exists()


def test_what_a_dry_run_refuses_in_its_own_process_is_one_line(al_tf, tmp_path):
    asked = [*FAST, "--dry-run", "--out", tmp_path / "plan", "--set", "upper_line=true"]
    code, out, err = al_tf("run", *asked)
    assert (code, out) == (2, "")
    assert err.startswith("Error: The upper line needs validation=1000 training images")
    assert err.count("\n") == 1


def test_a_file_in_the_place_of_the_folder_is_said(al_tf, experiment, tmp_path):
    (tmp_path / "file").write_text("mine")
    for command in (["run", *FAST, "--out"], ["report", experiment, "--out"]):
        code, _, err = al_tf(*command, tmp_path / "file")
        assert (code, "a file is in the place of a folder. Name another place" in err) == (2, True)
    assert (tmp_path / "file").read_text() == "mine"


def test_report_prints_one_table_and_leaves_figures_with_provenance(al_tf, experiment):
    code, out, _ = al_tf("report", experiment)
    assert code == 0
    assert out.count("\n") == 4  # header, rule, two strategies
    assert "no difference shown (2 seeds)" in out
    assert set(pd.read_csv(experiment / "verdict.csv")["strategy"]) == {"random", "margin"}
    names = {p.stem for p in experiment.glob("*.png")}
    assert names == {
        "learning_curves", "seconds", "class_balance", "differences", "forest", "label_savings",
        "penalty",
    }  # fmt: skip
    meta = read_meta(experiment)
    for name in names:
        provenance = read_provenance(experiment / f"{name}.png")
        assert provenance["command"] == f"al-tf report {experiment}"
        assert provenance["studies"]["demo"]["config_hash"] == meta["config_hash"]


def test_report_on_several_experiments_at_once(al_tf, experiment, tmp_path):
    other = tmp_path / "tail"
    assert al_tf("run", *FAST, "--imbalance", "0.2", "--out", other)[0] == 0
    code, out, _ = al_tf("report", experiment, other, "--format", "csv", "--out", tmp_path / "all")
    assert code == 0
    datasets = [line.split(",")[0] for line in out.splitlines()]
    assert datasets == ["dataset", *["digits (demo)"] * 2, *["digits (tail)"] * 2]
    studies = read_provenance(tmp_path / "all" / "forest.png")["studies"]
    for folder in (experiment, other):  # of one dataset, and yet each with its own facts
        meta, facts = read_meta(folder), studies[folder.name]
        for fact in ("data_fingerprint", "config_hash", "versions"):
            assert facts[fact] == meta[fact]
    assert studies["demo"]["data_fingerprint"] != studies["tail"]["data_fingerprint"]
    assert not list(experiment.glob("*.png"))
    code, out, _ = al_tf("report", experiment, other, "--format", "json", "--metric", "f1_macro")
    assert len(json.loads(out)) == 4
    for folder in (experiment, other):
        assert set(pd.read_csv(folder / "verdict.csv")["dataset"]) == {"digits"}
        assert list(read_provenance(folder / "forest.png")["studies"]) == [folder.name]


def test_report_of_a_first_round_alone_has_no_comparison(al_tf, tmp_path):
    assert al_tf("run", *FAST, "--rounds", "0", "--out", tmp_path)[0] == 0
    assert al_tf("report", tmp_path)[0] == 0
    assert {p.stem for p in tmp_path.glob("*.png")} == {"learning_curves", "seconds"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml"], "Unknown table format 'xml'"),
        (["--metric", "loss"], "Unknown metric 'loss'"),
    ],
)
def test_report_options_that_are_none(al_tf, experiment, arguments, message):
    code, _, err = al_tf("report", experiment, *arguments)
    assert code == 2
    assert message in err


def test_strategies_lists_every_name_with_its_paper(al_tf):
    code, out, _ = al_tf("strategies")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["name", "family", "needs", "cost", "paper"]
    assert [line.split()[0] for line in lines[1:]] == list_strategies()


def test_data_list_and_fetch(al_tf):
    code, out, _ = al_tf("data", "list")
    assert code == 0
    assert any(line.startswith("digits") and " yes " in line for line in out.splitlines())
    code, out, _ = al_tf("data", "fetch", "digits")
    assert code == 0
    assert "fingerprint" in out
    code, _, err = al_tf("data", "fetch", "nonesuch")
    assert code == 2
    assert "Unknown dataset 'nonesuch'" in err


class TestEmbed:
    @pytest.fixture(autouse=True)
    def counted(self, monkeypatch, tmp_path):
        """How many images went through a network that takes no time."""
        monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))
        backbone = CountingBackbone()
        monkeypatch.setattr(
            "al_tf.network.backbones.load_backbone", lambda name, size=None: backbone
        )
        return lambda: backbone.embedded

    def test_a_folder_is_embedded_for_the_desk_and_the_next_call_goes_on(
        self, al_tf, tmp_path, counted
    ):
        folder = tmp_path / "images"
        images = np.random.default_rng(0).integers(0, 256, (6, 20, 30), dtype=np.uint8)
        for i in range(5):
            write_image(folder / f"{i}.png", images[i])
        (folder / "broken.png").write_bytes(b"nothing")
        code, out, _ = al_tf("embed", folder, "--size", 32)
        assert (code, counted()) == (0, 5)
        assert "features of 5 images" in out
        assert f"1 file cannot be read, such as {folder / 'broken.png'}: expected an image" in out
        assert "strips at 32 pixels" in al_tf("cache", "show")[1]
        write_image(folder / "new.png", images[5])
        code, out, _ = al_tf("embed", folder, "--size", 32)
        assert (code, counted()) == (0, 6)
        settings, _ = resolve_settings(None, model="probe", size=32)
        pool, settings = settings.open_pool(folder)
        assert model_inputs(settings.build_estimator(()), pool).count() == 6
        assert counted() == 6

    def test_a_dataset_is_embedded_for_experiments(self, al_tf, counted):
        code, out, _ = al_tf("embed", "digits")
        digits = load_dataset("digits")
        n = len(digits.x_train) + len(digits.x_test)
        assert (code, 0 < counted() <= n) == (0, True)
        assert f"digits: features of {n:,} images" in out
        code, _, _ = al_tf("embed", "digits")
        assert counted() <= n

    def test_ctrl_c_says_how_to_go_on(self, al_tf, counted, monkeypatch):
        def stopped(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(CountingBackbone, "features", stopped)
        code, out, err = al_tf("embed", "digits")
        assert (code, out) == (130, "")
        assert err == "\nStopped; what was computed is kept. Continue with:\n  al-tf embed digits\n"

    def test_what_is_neither_is_an_error(self, al_tf):
        code, _, err = al_tf("embed", "no-such-thing")
        assert code == 2
        assert "no-such-thing: no such folder, and no dataset of this name." in err
        code, _, err = al_tf("embed", ".", "--image-size", 32)
        assert code == 2
        assert "--image-size is for datasets" in err

    def test_a_file_and_a_size_that_a_dataset_has_not(self, al_tf, tmp_path):
        write_image(tmp_path / "one.png", np.zeros((8, 8), np.uint8))
        code, _, err = al_tf("embed", tmp_path / "one.png")
        assert (code, "one.png is a file. Give the folder" in err) == (2, True)
        code, _, err = al_tf("embed", "digits", "--image-size", 32)
        assert (code, "--image-size: the images of digits have one size" in err) == (2, True)

    @pytest.mark.parametrize(
        "source", ["images", pytest.param("digits", marks=pytest.mark.filterwarnings("ignore"))]
    )
    def test_features_that_cannot_be_kept_are_not_said_to_be(
        self, al_tf, tmp_path, monkeypatch, counted, source
    ):
        for i in range(3):
            write_image(tmp_path / "images" / f"{i}.png", np.full((8, 8), i, np.uint8))
        (tmp_path / "no folder").write_text("")
        monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "no folder"))
        monkeypatch.chdir(tmp_path)
        code, out, err = al_tf("embed", source)
        assert (code, counted() > 0) == (2, True)
        assert "They are kept" not in out
        assert "a file is in the place of a folder" in err
        assert "Not all features are kept, as the warning says." in err


def test_the_cache_of_features_is_shown_limited_and_cleared(al_tf, monkeypatch, tmp_path):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path))
    for command in ("show", "clear"):
        code, out, _ = al_tf("cache", command)
        assert code == 0
        assert f"No features are kept in {tmp_path / 'features'}" in out
    assert not [*tmp_path.iterdir()]
    with FeatureStore(None, fingerprint="f", label="network at 32 pixels", dim=250) as store:
        store.put([bytes([i]) * 16 for i in range(12)], np.ones((12, 250), np.float32))
    code, out, _ = al_tf("cache", "show")
    assert code == 0
    assert re.search(r"network at 32 pixels +12 +12\.0 kB +\d{4}-\d\d-\d\d", out)
    assert "of at most 4.3 GB" in out
    code, out, _ = al_tf("cache", "limit", "1.5 GB")
    assert "at most 1.5 GB from now on" in out
    assert "of at most 1.5 GB" in al_tf("cache", "show")[1]
    code, out, _ = al_tf("cache", "clear")
    assert "dropped the features of 12 images" in out
    assert "network" not in al_tf("cache", "show")[1]


@pytest.mark.parametrize("size", ["", "0", "-3GB", "many", "3 potatoes"])
def test_sizes_that_are_none(al_tf, size):
    code, _, err = al_tf("cache", "limit", "--", size)
    assert code == 2
    assert "Expected a size above 0, such as 500MB or 20GB" in err


def test_fetching_a_backbone(al_tf):
    code, out, _ = al_tf("data", "fetch", "backbone:efficientnet_lite0", "--size", "64")
    assert code == 0
    assert "efficientnet_lite0: images of 64 × 64 pixels, 1,280 features" in out
    code, _, err = al_tf("data", "fetch", "backbone:efficientnet")
    assert code == 2
    assert "Unknown backbone 'efficientnet'" in err


def test_no_help_has_brackets_which_the_terminal_takes_for_markup():
    def helps(command, name):
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
        for child, part in getattr(command, "commands", {}).items():
            yield from helps(part, f"{name} {child}")

    texts = dict(helps(get_command(app), "al-tf"))
    assert len(texts) > 50
    assert [name for name, text in texts.items() if "[" in text] == []
