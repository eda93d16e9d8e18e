"""A study that is not what its records say is found out, without training; all are in one table."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from al_tf.analysis import verdict_table
from al_tf.experiments import StrategySpec, read_meta, run_experiment
from al_tf.experiments.study import write_meta
from al_tf.plots import build_provenance, read_figure_table, read_provenance, save_figure
from al_tf.report import lossy_data_note, read_experiments, write_report
from al_tf.studies import FILES, check_study, metric_of, study_table
from tests.experiments.helpers import fast_config
from tests.test_cli import al_tf  # noqa: F401  # a fixture

FIGURES = Path(__file__).parent.parent / "figures"
COMMITTED = sorted(path.parent for path in FIGURES.glob("*/study.toml"))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Make a small study as its author would publish it."""
    folder = tmp_path_factory.mktemp("studies") / "small"
    run_experiment(fast_config(rounds=2), folder, jobs=0, progress=False)
    write_report(
        read_experiments([folder]), folder, metric="f1_macro", command="al-tf report small"
    )
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    write_meta(folder, {"about": "Does margin beat random?", **read_meta(folder)})
    return folder


def test_answers_of_several_annotators_are_counted(tmp_path):
    again = StrategySpec("again", "margin", relabel="always")
    config = fast_config(annotators=[0.2, 0.2, 0.2], strategies=again, rounds=2, batch=(5, 10))
    run_experiment(config, tmp_path, jobs=0, progress=False)
    assert [f for f in check_study(tmp_path).faults if "missing" not in f] == []
    in_round(1, strategy="again", asked=lambda ids: ids[1:])(tmp_path)
    assert any("round 1: 4 answers, 5 expected" in f for f in check_study(tmp_path).faults)


@pytest.fixture
def folder(published, tmp_path):
    return shutil.copytree(published, tmp_path / "small")


def test_a_study_as_it_was_made_is_sound(published):
    check = check_study(published)
    assert check.faults == []
    assert check.summary == "4 runs of 3 rounds, 2 paired seeds"
    assert "2 seeds; 10 are the least for a statement" in check.notes


def test_a_study_from_nothing_with_an_upper_line_is_sound(tmp_path):
    config = fast_config(initial=0, batch=[10, 20], rounds=3, upper_line=True, validation=200)
    folder = tmp_path / "few"
    run_experiment(config, folder, jobs=0, progress=False)
    write_report(read_experiments([folder]), folder, command="al-tf report few")
    check = check_study(folder)
    assert [fault for fault in check.faults if "records" in fault or ".csv" in fault] == []
    assert check.summary == "6 runs of 4 rounds, 2 paired seeds"
    assert "oracle" not in study_table([folder])["verdict"].iloc[0]
    change_records(folder, lambda r: None if (r["strategy"], r["seed"]) == ("oracle", 1) else r)
    assert "records.jsonl.gz: oracle, seed 1: no records" in check_study(folder).faults


@pytest.mark.slow
@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_studies_are_what_their_records_say(path):
    assert check_study(path).faults == []


def change_records(folder, change):
    """Rewrite the records, each changed by a function that may also drop it by returning None."""
    path = folder / "records.jsonl.gz"
    records = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    kept = [new for record in records if (new := change(record)) is not None]
    lines = [json.dumps(record, separators=(",", ":")) + "\n" for record in kept]
    path.write_bytes(gzip.compress("".join(lines).encode()))


def in_round(number, strategy="margin", seed=1, **values):
    """Return a change of one record; a value may be a function of the old one."""

    def change(record):
        if (record["round"], record["strategy"], record["seed"]) != (number, strategy, seed):
            return record
        new = {k: v(record[k]) if callable(v) else v for k, v in values.items()}
        return record | new

    return lambda folder: change_records(folder, change)


def without(strategy, seed, rounds):
    def change(record):
        here = record["strategy"] == strategy and record["seed"] == seed
        return None if here and record["round"] in rounds else record

    return lambda folder: change_records(folder, change)


def with_meta(**values):
    return lambda folder: write_meta(folder, {**read_meta(folder), **values})


def with_setting(name, value):
    def spoil(folder):
        meta = read_meta(folder)
        meta["config"][name] = value
        write_meta(folder, meta)

    return spoil


def save(path, table=None, provenance=None):
    """Write a picture anew with another table or provenance inside."""
    table = read_figure_table(path) if table is None else table
    save_figure(Figure(), path, provenance or read_provenance(path), table=table)


def another_table(folder):
    table = read_figure_table(folder / "learning_curves.png")
    table.loc[0, "mean"] += 0.01
    save(folder / "learning_curves.png", table=table)


def another_study(folder):
    meta = read_meta(folder)
    save(folder / "forest.png", provenance=build_provenance({"a": meta}, command="", metric="x"))


def plain_picture(folder):
    Figure().savefig(folder / "forest.png")


def no_file(name):
    return lambda folder: (folder / name).unlink()


def one_picture_more(folder):
    shutil.copy(folder / "forest.png", folder / "trees.png")


def damaged(folder):
    path = folder / "records.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-100])


def another_line_of_results(folder):
    path = folder / "results.csv"
    path.write_text(path.read_text().replace("margin,0,1", "margin,0,7", 1))


def unfinished(folder):
    (folder / "runs").mkdir()


def other_bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def first_half(name):
    def spoil(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return spoil


def twice(ids):
    return [*ids[:-1], ids[0]]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        # configuration and provenance
        (with_setting("epochs", 7), "study.toml: its config_hash is not that of"),
        (with_setting("epochs", 0), "study.toml: not the settings of an experiment. epochs should"),
        (with_setting("seeds", "all"), "study.toml: no experiment's settings"),
        (with_meta(data_fingerprint="other"), "study.toml: data_fingerprint is not a SHA-256"),
        (with_meta(data_fingerprint="0" * 64), "learning_curves.png: its data_fingerprint is"),
        (with_meta(versions={}), "study.toml: versions lack python, al-tf, numpy, scikit-learn"),
        (with_meta(command=[]), "study.toml: the command is missing"),
        (
            with_meta(command=["al-tf", "--out=/home/me"]),
            "names a place on one machine, --out=/home",
        ),
        (with_meta(data_source=""), "study.toml: data_source is missing"),
        # records: complete
        (
            without("margin", 1, {2}),
            "margin, seed 1, round 1: the run ends there, 2 rounds expected",
        ),
        (without("margin", 1, {0, 1, 2}), "records.jsonl.gz: margin, seed 1: no records"),
        (without("margin", 1, {1}), "expected the record of round 1, found 2"),
        (with_setting("strategies", ["random"]), "holds other runs than study.toml names"),
        (damaged, "records.jsonl.gz:"),
        (no_file("records.jsonl.gz"), "no finished round"),
        (unfinished, "runs/: holds runs that are not finished"),
        # records: paired
        (in_round(0, queried=lambda ids: ids[::-1]), "with seed 1, random and margin start from"),
        (in_round(0, accuracy=0.5), "with seed 1, random and margin start from different models"),
        # records: possible values
        (in_round(2, accuracy=1.5), "round 2: accuracy 1.5 is not between 0 and 1"),
        (in_round(2, recall=[0.5]), "round 2: recall is not a list of 10 numbers"),
        (
            in_round(2, average_precision=[2.0] * 10),
            "average_precision is not a list of 10 numbers",
        ),
        (in_round(2, recall=None), "round 2: recall is not a list of 10 numbers"),
        (in_round(2, seconds_fit=-1.0), "round 2: seconds_fit -1.0 is not a time"),
        (in_round(1, queried=lambda ids: ids[1:]), "round 1: 9 images labeled, 10 expected"),
        (in_round(1, queried=twice), "round 1: an image is labeled twice"),
        (in_round(1, queried="none"), "round 1: queried and queried_labels are not lists"),
        (in_round(1, queried_labels=lambda y: [99, *y[1:]]), "round 1: a label that is not one of"),
        (in_round(1, n_labeled=41), "round 1: n_labeled and the lists of images and labels"),
        (in_round(1, stopped="budget"), "round 1: the run goes on after it was stopped"),
        # tables and figures
        (in_round(2, accuracy=0.99), "results.csv: differs from the records"),
        (in_round(2, f1_macro=0.99), "verdict.csv: differs from the verdict on the records"),
        (in_round(2, accuracy=0.99), "forest.png: its records_sha256 is"),
        (another_line_of_results, "results.csv: differs from the records"),
        (no_file("verdict.csv"), "verdict.csv: missing; al-tf report writes it"),
        (no_file("learning_curves.png"), "learning_curves.png: missing; al-tf report writes it"),
        (another_table, "learning_curves.png: drawn from another table"),
        (another_study, "forest.png: drawn of a, and this folder is small; al-tf report draws"),
        (another_study, "forest.png: about x, other figures about f1_macro"),
        (plain_picture, "forest.png carries no provenance"),
        (other_bytes("results.csv", b""), "results.csv: not a CSV table; al-tf report writes it"),
        (other_bytes("results.csv", b"\xa1\xff"), "results.csv: not a CSV table; al-tf report"),
        (other_bytes("verdict.csv", b""), "verdict.csv: not a CSV table; al-tf report writes it"),
        (other_bytes("learning_curves.png", b""), "learning_curves.png: not a whole PNG file"),
        (first_half("learning_curves.png"), "learning_curves.png: not a whole PNG file"),
        (first_half("forest.png"), "forest.png: not a whole PNG file"),
        (one_picture_more, "trees.png: not a figure of a report"),
    ],
)
def test_what_is_wrong_is_named(folder, spoil, fault):
    spoil(folder)
    assert fault in "\n".join(check_study(folder).faults)


def test_a_study_in_a_folder_of_another_name_is_one_fault_of_each_figure(folder):
    faults = check_study(folder.rename(folder.parent / "renamed")).faults
    figures = len([*(folder.parent / "renamed").glob("*.png")])
    assert len(faults) == figures
    assert "learning_curves.png: drawn of small, and this folder is renamed" in "".join(faults)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("results.csv", b"", "results.csv: not a CSV table; al-tf report writes it anew"),
        ("results.csv", b"a,b\n1,2\n", "results.csv: no column n_labeled; al-tf report"),
        ("verdict.csv", b"a,b\n1,2\n", "verdict.csv: no column strategy; al-tf report"),
        ("learning_curves.png", b"PNG", "learning_curves.png: not a whole PNG file"),
    ],
)
def test_a_list_of_studies_says_which_file_is_damaged(al_tf, folder, name, content, message):  # noqa: F811
    (folder / name).write_bytes(content)
    code, _, err = al_tf("study", "list", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


def test_two_labels_for_one_image_are_found(folder):
    records = read_experiments([folder])[0].records
    (random,) = records.query("strategy == 'random' and seed == 1 and round == 2").to_dict(
        "records"
    )
    image, other = random["queried"][0], (random["queried_labels"][0] + 1) % 10
    in_round(2, queried=lambda ids: [image, *ids[1:]], queried_labels=lambda y: [other, *y[1:]])(
        folder
    )
    faults = "\n".join(check_study(folder).faults)
    assert f"margin, seed 1: another label for image {image} than in another run" in faults


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (with_meta(git_commit="abc-dirty"), "made with changes that were not committed"),
        (with_meta(git_commit=None), "no commit is named: made with an installed al_tf"),
        (with_meta(about=""), 'add about = "…" at its top'),
        (with_setting("dataset", "folder:mine"), "nobody else can run it"),
        (lambda folder: (folder / "round0").mkdir(), "only needed to let it grow: round0"),
        (lambda folder: (folder / "thoughts.txt").touch(), "not part of a study: thoughts.txt"),
    ],
)
def test_what_a_reader_should_know_is_no_fault(folder, spoil, note):
    spoil(folder)
    assert note in "\n".join(check_study(folder).notes)


def test_a_strategy_that_is_not_registered_here_is_no_fault():
    check = check_study(FIGURES / "own_strategy")
    assert check.faults == []
    assert "not registered here, so the parameters are unchecked: gini" in check.notes


def test_the_sentence_about_a_study_stays_when_it_grows(folder):
    run_experiment(fast_config(rounds=3), folder, jobs=0, progress=False)
    assert read_meta(folder)["about"] == "Does margin beat random?"


def test_the_command_lists_faults_and_fails(al_tf, published, folder):  # noqa: F811
    code, out, _ = al_tf("study", "check", published)
    assert code == 0
    assert f"{published}: sound (4 runs of 3 rounds, 2 paired seeds)" in out
    another_line_of_results(folder)
    code, out, _ = al_tf("study", "check", published, folder)
    assert code == 1
    assert f"{folder}: 1 fault(s) (4 runs" in out
    assert "  results.csv: differs from the records" in out
    assert "1 of 2 studies do not fit their records" in out
    code, _, err = al_tf("study", "check", folder.parent)
    assert code == 2
    assert "there is no study.toml" in err


def test_a_table_of_studies_comes_from_their_folders(al_tf, published):  # noqa: F811
    (row,) = study_table([published]).to_dict("records")
    assert row.pop("verdict") in ("better than random: margin", "no difference shown: margin")
    assert row == {
        "study": "small",
        "about": "Does margin beat random?",
        "dataset": "digits",
        "model": "logistic",
        "labels": "30 to 50",
        "seeds": 2,
        "hours": "0.0",
        "metric": "f1_macro",
    }
    assert "| small | Does margin beat" in " ".join(
        al_tf("study", "list", published, "--format", "md")[1].split()
    )
    assert al_tf("study", "list", published)[1].splitlines()[1].startswith("small  Does margin")


def test_the_table_of_committed_studies_is_the_generated_one(al_tf):  # noqa: F811
    _, table, _ = al_tf("study", "list", *COMMITTED, "--format", "md")
    readme = (FIGURES / "README.md").read_text()
    assert table.strip() in readme, "paste what `al-tf study list figures/*/ --format md` prints"


def test_the_metric_is_read_from_the_learning_curves(folder):
    assert metric_of(folder) == "f1_macro"
    save(folder / "learning_curves.png", provenance={"metric": "loss"})
    with pytest.raises(ValueError, match="its figures are about 'loss'; expected one of: accuracy"):
        metric_of(folder)


def test_figures_of_a_lossy_copy_say_so(published):
    (study,) = read_experiments([published])
    assert lossy_data_note([study]) == ""
    source = "a lossy JPEG copy (not the original pixels) in some.tar.xz"
    study = study._replace(meta=study.meta | {"data_source": source})
    assert lossy_data_note([study]) == "digits: a lossy JPEG copy"


def test_git_keeps_of_a_study_what_is_published_and_no_more():
    listed = subprocess.run(
        ["git", "ls-files", "figures"], cwd=FIGURES.parent, capture_output=True, text=True
    )
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout")
    kept = {}
    for path in map(Path, listed.stdout.split()):
        if len(path.parts) == 3:
            kept.setdefault(path.parts[1], set()).add(path.name)
    assert kept == {folder.name: set(FILES) for folder in COMMITTED}


@pytest.mark.parametrize(
    ("dataset", "typical", "typical_unit", "cover", "cover_unit"),
    [("cifar10", 1.6, 2.5, -0.5, 1.3), ("fashion_mnist", 1.8, 1.7, -1.4, -1.2)],
)
def test_what_strategies_say_about_unit_length_is_in_its_studies(
    dataset, typical, typical_unit, cover, cover_unit
):
    (experiment,) = read_experiments([FIGURES / f"unit_length_{dataset}"])
    verdict = verdict_table(experiment.results).set_index("strategy")
    names = ["typiclust", "typiclust_unit", "probcover", "probcover_unit"]
    stated = experiment.meta["config"]["strategy"]
    assert [stated[name]["unit_length"] for name in names] == [False, True, False, True]
    gains = (100 * verdict.loc[names, "difference"]).round(1)
    assert gains.tolist() == [typical, typical_unit, cover, cover_unit]
    for name in ("typiclust", "probcover"):
        pair = experiment.results[experiment.results["strategy"].isin([name, f"{name}_unit"])]
        against = verdict_table(pair, baseline=name).set_index("strategy")["verdict"]
        expected = (
            f"better than {name}" if dataset == "cifar10" else "no difference shown (20 seeds)"
        )
        assert against[f"{name}_unit"] == expected
    at_ten = verdict_table(experiment.results, measure=10).set_index("strategy")["difference"]
    if dataset == "cifar10":
        assert (100 * at_ten[["typiclust", "typiclust_unit"]]).round().tolist() == [6, 13]
