"""What the committed studies say for a regime: nothing without a study, and what the study says."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from al_tf import list_strategies
from al_tf.errors import DataNotFoundError, UnknownNameError
from al_tf.guide import (
    Regime,
    committed_studies,
    guide,
    regime_of,
    studies_near,
    table_of_studies,
    write_table,
)
from tests.datasets.makers import write_image
from tests.test_cli import al_tf  # noqa: F401  # a fixture

FIGURES = Path(__file__).parent.parent / "figures"


def test_the_table_is_what_the_studies_say():
    folders = sorted(path.parent for path in FIGURES.glob("*/study.toml"))
    said = table_of_studies(folders).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        committed_studies(), said, rtol=0, atol=1.01e-4, obj="make guide writes it anew:"
    )  # of four decimals, of which the last may be rounded otherwise by older versions


def test_wrong_answers_do_not_make_classes_look_alike():
    balance = committed_studies().groupby("study")["balance"].first()
    assert balance["defects_10_percent_errors"] == pytest.approx(
        balance["defects_0_percent_errors"], abs=0.05
    )


@pytest.mark.parametrize(
    ("regime", "studies"),
    [
        (Regime(200, 10, 1.0, "cnn"), ["diversity_fashion_mnist", "fashion_mnist", "own_strategy"]),
        (Regime(200, 10, 0.1, "cnn"), ["imbalanced_fashion_mnist"]),
        (Regime(150, 2, 0.4, "probe"), ["defects_probe_0_percent_errors",
                                        "defects_probe_10_percent_errors"]),
        (Regime(200, 2, 1.0, "cnn"), []),
        (Regime(200, 100, 1.0), []),
        (Regime(10**6, 10, 1.0), []),
        (Regime(1, 10, 1.0, "cnn"), []),
    ],
)  # fmt: skip
def test_near_is_what_is_like_it_in_all_respects(regime, studies):
    near = set(studies_near(regime)["study"])
    assert near >= set(studies)
    assert bool(near) == bool(studies)
    others = committed_studies()[~committed_studies()["study"].isin(near)]
    same_kind = others[
        (others["model"] == (regime.model or others["model"]))
        & (others["n_classes"] == regime.n_classes)
        & ((others["balance"] >= 0.5) == (regime.balance >= 0.5))
    ]
    in_range = same_kind["labels_from"].le(regime.labels) & same_kind["labels_to"].ge(regime.labels)
    assert not in_range.any()


def test_every_number_is_one_of_a_study_named_above_it():
    text = guide(Regime(200, 10, 0.05, "cnn"))
    row = committed_studies().query("study == 'imbalanced_fashion_mnist' and strategy == 'margin'")
    difference = row["difference"].item()
    above, _, below = text.partition(f"margin {difference:+.3f} [")
    assert "imbalanced_fashion_mnist: fashion_mnist, 10 classes, cnn, 200 to 1,200" in above
    assert "better than random (f1_macro): " in above
    assert "margin: better than random in imbalanced_fashion_mnist" in below


def test_options_that_are_not_today_s_defaults_are_named():
    text = guide(Regime(200, 10, 1.0, "probe"))
    study, _, rest = text.partition("unit_length_cifar10: cifar10")[2].partition("\n\n")
    assert "typiclust (unit_length=False) +0.016" in study
    assert "typiclust_unit +0.025" in study
    (line,) = re.findall(r"(?m)^  typiclust \(unit_length=False\): (.*)", rest)
    assert "unit_length_cifar10" in line


def test_without_a_study_nothing_is_said():
    text = guide(Regime(labels=200, n_classes=1000, balance=1.0))
    assert "No committed study is near this, so nothing can be said here." in text
    assert not any(name in text.split() for name in list_strategies())


def test_a_model_that_no_study_has():
    assert studies_near(Regime(200, 10, 1.0, "probe"))["model"].isin(["probe"]).all()
    with pytest.raises(UnknownNameError, match="Unknown model 'tree'"):
        studies_near(Regime(200, 10, 1.0, "tree"))


def test_the_regime_of_a_folder_is_counted(tmp_path):
    for name, n in (("a", 20), ("b", 5)):
        for i in range(n):
            pixels = np.random.default_rng(i + n).integers(0, 255, (9 + i % 2, 8), dtype=np.uint8)
            write_image(tmp_path / name / f"{i}.png", pixels)
    regime = regime_of(str(tmp_path), 50)
    assert (regime.n_classes, regime.labels) == (2, 50)
    assert regime.balance == pytest.approx(0.25, abs=0.02)


def test_a_table_of_no_studies_is_not_written(tmp_path):
    with pytest.raises(DataNotFoundError, match="holds no study"):
        write_table(tmp_path)


def test_command(al_tf):  # noqa: F811
    code, out, _ = al_tf("strategies", "--for", "digits", "--labels", "200", "--model", "cnn")
    assert code == 0
    assert out.startswith("digits: 10 classes, balanced")
    assert "own_strategy: digits, 10 classes, cnn, 50 to 450 labels, 10 seeds" in out
    code, _, err = al_tf("strategies", "--for", "digits")
    assert code == 2
    assert "--for needs --labels" in err
    code, _, err = al_tf("strategies", "--labels", "10")
    assert code == 2
    assert "--labels and --model go with --for" in err
