import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import al_tf.datasets
from al_tf.datasets import (
    DATASETS,
    dataset_status,
    fashion_mnist,
    fetch_dataset,
    list_datasets,
    load_dataset,
)
from al_tf.errors import DataNotFoundError, UnknownNameError

from .makers import tiny_fashion, write_gz

SCRIPTS = Path(__file__).parents[2] / "data_scripts"


def test_the_canonical_names_are_there():
    assert list_datasets() == [
        "digits",
        "fashion_mnist",
        "imbalanced_fashion_mnist",
        "cifar10",
        "magnetic_tile",
        "solar_cells",
    ]


@pytest.mark.parametrize("name", ["mnist", "", "folder:", "Digits", None, ["digits"]])
def test_an_unknown_name_lists_the_known_ones(name):
    known = ", ".join(map(repr, [*DATASETS, "folder:PATH"]))
    with pytest.raises(
        UnknownNameError, match=re.escape(f"Unknown dataset {name!r}. Expected one of: {known}")
    ):
        load_dataset(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits", "Dataset 'digits' takes no option 'size'. Its options: none"),
        ("folder:x", "takes no option 'sise'. Its options: size, grey, test_size"),
        ("magnetic_tile", "takes no option 'sise'. Its options: size, labels"),
    ],
)
def test_an_unknown_option_lists_the_known_ones(name, message):
    with pytest.raises(TypeError, match=message):
        load_dataset(name, **{"size" if name == "digits" else "sise": 3})


def test_digits_are_always_there_and_always_the_same():
    digits = load_dataset("digits")
    assert digits.x_train.shape == (1438, 8, 8)
    assert digits.x_train.max() == 255
    assert np.bincount(digits.y_test).min() >= 34
    assert digits.fingerprint == load_dataset("digits", seed=7).fingerprint
    assert digits.fingerprint.startswith("be9cf8e790a237b6")


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits = load_dataset("digits")
    ours = np.concatenate([digits.x_train, digits.x_test])
    theirs = np.round(load_digits().images * 255 / 16)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs.astype(np.uint8)))


def test_a_data_dir_that_is_no_folder_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError, match=r"data_dir is '.*nowhere', which is not a folder"):
        load_dataset("fashion_mnist", data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("AL_TF_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(DataNotFoundError, match=r"AL_TF_DATA_DIR is '.*nowhere'"):
        load_dataset("cifar10")


def test_the_status_says_where_each_is_or_how_to_get_it(tmp_path, monkeypatch):
    payloads, facts = tiny_fashion()
    monkeypatch.setattr(fashion_mnist, "FILES", facts)
    write_gz(tmp_path, payloads)
    status = {line.name: line for line in dataset_status(tmp_path)}
    assert list(status) == list_datasets()
    assert status["digits"].found
    assert status["digits"].where == "bundled with scikit-learn"
    assert status["imbalanced_fashion_mnist"].where == str(tmp_path)
    assert not status["cifar10"].found
    assert "al-tf data fetch cifar10" in status["cifar10"].where


def test_the_status_downloads_nothing(mirrors, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (mirrors.url("good"),))
    dataset_status()
    assert mirrors.requests == []


def test_fetching_what_is_there_says_where_and_passes_options_on(tmp_path):
    lines = []
    fetched = fetch_dataset("digits", report=lines.append, imbalance=0.1, seed=3)
    assert lines == ["digits: bundled with scikit-learn"]
    assert fetched.fingerprint == load_dataset("digits", imbalance=0.1, seed=3).fingerprint


def test_importing_the_datasets_loads_nothing_heavy():
    code = (
        "import sys, al_tf.datasets as d; heavy = {'tensorflow', 'keras', 'sklearn', 'PIL',"
        "'requests', 'tqdm', 'platformdirs', 'pandas'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_source_file_runs_code_from_data_or_extracts_archives():
    forbidden = re.compile(r"pickle\.load|allow_pickle=True|\beval\(|\bexec\(|\.extract(all)?\(")
    sources = sorted(Path(al_tf.datasets.__file__).parent.glob("*.py"))
    assert len(sources) > 10
    for path in sources:
        assert not forbidden.search(path.read_text(encoding="utf-8")), path


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "script", sorted(p.name for p in SCRIPTS.glob("[!_]*.py") if p.name != "common.py")
)
def test_every_data_script_explains_itself(script):
    done = run(script, "--help")
    assert done.returncode == 0
    assert "--data-dir" in done.stdout


def test_a_data_script_ends_with_counts_shapes_and_checksums():
    done = run("check_digits.py")
    assert done.returncode == 0
    assert "(1438, 8, 8)" in done.stdout
    assert done.stdout.splitlines()[-1] == f"fingerprint {load_dataset('digits').fingerprint}"


def test_a_data_script_fails_with_one_message_and_no_traceback(tmp_path):
    done = run("check_folder.py", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("DataNotFoundError: ")
    assert "Traceback" not in done.stderr


def test_only_splits_and_imbalances_depend_on_the_seed():
    from al_tf.datasets import depends_on_seed

    assert not depends_on_seed("cifar10")
    assert not depends_on_seed("fashion_mnist")
    assert depends_on_seed("cifar10", 0.1)
    assert depends_on_seed("imbalanced_fashion_mnist")
    assert depends_on_seed("magnetic_tile")
    assert depends_on_seed("folder:somewhere")
