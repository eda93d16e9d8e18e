"""Execute the notebooks, which run the experiments and draw the figures: what ``make report`` calls.

    python figures/make.py [--profile smoke|quick|report] [--only 02,04] [--results DIR]

Studies go to ``results/PROFILE/STUDY``, where the next call continues, executed notebooks to
``results/PROFILE/notebooks``. With ``--profile report`` the committed studies are what it continues
from, and what comes out is committed: ``figures/STUDY`` and the notebooks themselves. A notebook
whose data are unavailable is skipped, with the reason in the table at the end.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from al_tf.experiments.provenance import without_places
from al_tf.files import new_folder, write_atomically

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
PROFILES = ("smoke", "quick", "report")
TABLES = ("study.toml", "records.jsonl.gz", "results.csv", "verdict.csv")
QUIET = ["--log-level=CRITICAL"]  # what a kernel logs is about itself; cells say what failed


def execute(source: Path, profile: str, results: Path, target: Path) -> None:
    """Execute a notebook in a profile and write it, with its outputs, to `target`.

    `results` is the profile's folder, and where the notebook runs; the notebook's parameter RESULTS
    is the folder above, to which it adds the profile's name.
    """
    values = {"PROFILE": profile, "RESULTS": str(results.parent)}
    defined = papermill.inspect_notebook(str(source))
    target.parent.mkdir(parents=True, exist_ok=True)
    watched = sys.stderr.isatty()  # a log has no use for bars
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters={name: value for name, value in values.items() if name in defined},
            cwd=str(results),
            progress_bar={"desc": source.stem} if watched else False,
            stderr_file=sys.stderr if watched else None,  # progress bars of cells
            extra_arguments=QUIET,
        )
    finally:
        if target.exists():
            notebook = with_outputs(source, target)
            if "PROFILE" in defined and profile != "report":
                say_profile(notebook, profile)
            nbformat.write(notebook, target)


def with_outputs(source: Path, executed: Path) -> Any:
    """Return the notebook at `source` with the outputs of its executed copy, and nothing else."""
    notebook, copy = (nbformat.read(path, as_version=4) for path in (source, executed))
    cells = {cell.id: cell for cell in copy.cells}
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.id in cells:
            cell.execution_count = cells[cell.id].execution_count
            cell.outputs = tidy(cells[cell.id].outputs)
    if "language_info" in copy.metadata:
        notebook.metadata["language_info"] = copy.metadata["language_info"]
    return notebook


def say_profile(notebook: Any, profile: str) -> None:
    """Say under the title that the outputs are not those that the text is about."""
    text = (
        f"*Executed with profile {profile}, which has few seeds and rounds. The numbers in the text are "
        "those of profile report.*"
    )
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(text))


def tidy(outputs: list[Any]) -> list[Any]:
    """Keep of a progress bar what was on the screen last, and of paths no place on this machine."""
    kept: list[Any] = []
    streams: dict[str, Any] = {}  # a bar that was drawn in pieces has an output for each
    for output in outputs:
        name = output.name if output.output_type == "stream" else ""
        if name in streams:
            streams[name].text += output.text
        else:
            kept.append(output)
            if name:
                streams[name] = output
    for stream in streams.values():
        lines = without_places(stream.text.replace(f"{ROOT}/", "")).split("\n")
        stream.text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    for output in kept:  # the state of a bar's widget is left out, its text is kept
        if "data" in output:
            output.data.pop("application/vnd.jupyter.widget-view+json", None)
    return kept


def bring_studies(results: Path) -> None:
    """Copy the committed studies to where the notebooks go on from, unless some are there."""
    for settings in sorted(FIGURES.glob("*/study.toml")):
        with new_folder(results / settings.parent.name) as folder:
            for name in ("study.toml", "records.jsonl.gz"):
                shutil.copy(settings.parent / name, folder)


def publish(results: Path) -> None:
    """Copy every study that has been reported on to where studies are committed.

    Each file takes the place of the old one in one step, and what the study no longer has is
    removed last: whenever this is interrupted, every file is there in its old or its new form.
    """
    for settings in sorted(results.glob("*/study.toml")):
        study, target = settings.parent, FIGURES / settings.parent.name
        pictures = sorted(study.glob("*.png"))
        complete = all((study / name).exists() for name in TABLES) and pictures
        if not complete or (study / "runs").exists():
            continue  # not finished, or no notebook has drawn it yet
        files = [*(study / name for name in TABLES), *pictures]
        for path in files:
            write_atomically(target / path.name, partial(shutil.copyfile, path))
        for path in target.iterdir():
            if path.name not in {file.name for file in files}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def make(source: Path, profile: str, results: Path) -> tuple[str, str]:
    """Execute one notebook; return the outcome and where it is, or why there is none."""
    target = results / "notebooks" / source.name
    try:
        execute(source, profile, results, target)
    except PapermillExecutionError as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue).strip()
        if error.ename == "DataNotFoundError":
            print(f"SKIPPED {source.stem}: {reason}", file=sys.stderr, flush=True)
            short = reason.splitlines()[0].removesuffix(" Tried:")
            return "SKIPPED", f"{short} How to get it: above."
        print(f"FAILED {source.stem}:\n{error}", file=sys.stderr, flush=True)
        return "FAILED", f"{error.ename}: {reason.splitlines()[0] if reason else ''}"
    if profile == "report":
        write_atomically(source, partial(shutil.copyfile, target))
    return "done", str(target)


def dataset_of(source: Path) -> str:
    """Return the dataset that a notebook's parameters name."""
    named = re.search(r'(?:DATASETS?|FASHION) = \[?\\"(\w+)', source.read_text())
    return named[1] if named else "digits"


def main(argv: list[str] | None = None) -> int:
    """Execute the notebooks; return 0 if none failed and at least one was done."""
    parser = argparse.ArgumentParser(
        description="Execute the notebooks, draw the report's figures."
    )
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    parser.add_argument("--only", help="these notebooks alone: their numbers, with commas")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="records go here")
    args = parser.parse_args(argv)
    wanted = args.only.split(",") if args.only else [""]
    sources = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if p.name.startswith(tuple(wanted))]
    if not sources:
        parser.error(f"--only {args.only}: no such notebook in {NOTEBOOKS}")
    results = args.results.resolve() / args.profile
    results.mkdir(parents=True, exist_ok=True)
    if args.profile == "report":
        bring_studies(results)
    outcomes = []
    for number, source in enumerate(sources, 1):
        print(f"{number} of {len(sources)}: {source.stem} …", file=sys.stderr, flush=True)
        start = time.perf_counter()
        outcome, why = make(source, args.profile, results)
        outcomes.append((source, outcome, time.perf_counter() - start, why))
    if args.profile == "report":
        publish(results)
    width = max(len(source.stem) for source in sources)
    print(f"\n{'notebook':<{width}}  {'dataset':<14} {'outcome':<8} seconds  where, or why not")
    for source, outcome, seconds, why in outcomes:
        print(
            f"{source.stem:<{width}}  {dataset_of(source):<14} {outcome:<8} {seconds:7.0f}  {why}"
        )
    if args.profile != "report":
        print(
            f"\nProfile {args.profile} has few seeds and rounds: it shows that everything works. What was "
            "found\nis in the committed notebooks, made with PROFILE=report."
        )
    kinds = {outcome for _, outcome, _, _ in outcomes}
    return 0 if "done" in kinds and "FAILED" not in kinds else 1


if __name__ == "__main__":
    sys.exit(main())
