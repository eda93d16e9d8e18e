"""Execute the notebooks, which run the experiments and draw the figures: what ``make report`` calls.

    python figures/make.py [--profile smoke|quick|report] [--only 02,04] [--results DIR]

Records and figures go to ``results/PROFILE/EXPERIMENT``, where the next call continues, executed
notebooks to ``results/PROFILE/notebooks``. With ``--profile report`` the committed records are where
it continues from, and what comes out is committed: ``figures/EXPERIMENT`` and the notebooks
themselves. A notebook whose data cannot be had is skipped, with the reason in the table at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
PROFILES = ("smoke", "quick", "report")
QUIET = ["--log-level=ERROR"]  # a kernel warns that it talks over TCP, as all kernels do


class Client(NotebookClient):
    """Shows what cells write to stderr, their progress bars above all, while they run."""

    def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> Any:
        """Pass a message on to the notebook, and to the screen."""
        content = msg["content"]
        if msg["msg_type"] == "stream" and content["name"] == "stderr" and sys.stderr.isatty():
            sys.stderr.write(content["text"])
            sys.stderr.flush()
        return super().output(outs, msg, display_id, cell_index)


def execute(source: Path, profile: str, results: Path, target: Path) -> None:
    """Execute a notebook in a profile and write it, with its outputs, to `target`.

    `results` is the profile's folder; notebooks are told the one above and add the profile's name.
    """
    notebook = nbformat.read(source, as_version=4)
    with_parameters(notebook, PROFILE=profile, RESULTS=str(results.parent))
    bar = tqdm(total=len(notebook.cells), desc=source.stem, unit="cell")
    place = {"metadata": {"path": str(results)}}
    client = Client(notebook, timeout=None, extra_arguments=QUIET, resources=place)
    client.on_cell_executed = lambda **_: bar.update()
    try:
        client.execute()
    finally:
        bar.close()
        without_parameters(notebook)
        tidy(notebook)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)


def with_parameters(notebook: Any, **values: Any) -> None:
    """Insert a cell behind the one tagged ``parameters`` that sets those it defines."""
    place = next(
        i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", [])
    )
    defined = set(re.findall(r"^(\w+) =", notebook.cells[place].source, re.MULTILINE))
    text = "\n".join(f"{name} = {value!r}" for name, value in values.items() if name in defined)
    cell = nbformat.v4.new_code_cell(text, metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(place + 1, cell)


def without_parameters(notebook: Any) -> None:
    """Take the inserted cell out again."""
    notebook.cells = [
        c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])
    ]


def tidy(notebook: Any) -> None:
    """Keep of a progress bar what was on the screen last; no timings of cells, no places on disk."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept: list[Any] = []
        streams: dict[str, Any] = {}  # a bar that was drawn in pieces has an output for each
        for output in cell.outputs:
            name = output.name if output.output_type == "stream" else ""
            if name in streams:
                streams[name].text += output.text
            else:
                kept.append(output)
                if name:
                    streams[name] = output
        for stream in streams.values():
            lines = without_places(stream.text).split("\n")
            stream.text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
        cell.outputs = kept


def without_places(text: str) -> str:
    """Return what a notebook said without where on this machine its data and files lie."""
    data = os.environ.get("AL_TF_DATA_DIR", "")
    if Path(data).is_absolute():
        text = text.replace(data, "$AL_TF_DATA_DIR")
    return text.replace(f"{ROOT}/", "").replace(f"{Path.home()}/", "~/")


def bring_records(results: Path) -> None:
    """Copy the committed records to where the notebooks continue from, unless some are there."""
    for config in FIGURES.glob("*/config.json"):
        folder = results / config.parent.name
        if not folder.exists():
            shutil.copytree(config.parent / "runs", folder / "runs")
            shutil.copy(config, folder)


def publish(results: Path) -> None:
    """Copy records, tables and figures of every experiment to where they are committed."""
    for config in results.glob("*/config.json"):
        folder, target = config.parent, FIGURES / config.parent.name
        if not (folder / "figures").exists():
            continue  # no notebook has drawn it yet
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / "figures", target)
        shutil.copytree(folder / "runs", target / "runs")
        for name in ("config.json", "results.csv", "verdict.csv"):
            shutil.copy(folder / name, target)


def make(source: Path, profile: str, results: Path) -> tuple[str, str]:
    """Execute one notebook; return the outcome and where it is, or why there is none."""
    target = results / "notebooks" / source.name
    try:
        execute(source, profile, results, target)
    except CellExecutionError as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue).strip()
        if error.ename == "DataNotFoundError":
            print(f"SKIPPED {source.stem}: {reason}", file=sys.stderr, flush=True)
            short = reason.splitlines()[0].removesuffix(" Tried:")
            return "SKIPPED", f"{short} How to get it: above."
        print(f"FAILED {source.stem}:\n{error}", file=sys.stderr, flush=True)
        return "FAILED", f"{error.ename}: {reason.splitlines()[0] if reason else ''}"
    if profile == "report":
        shutil.copy(target, source)
    return "done", str(target)


def dataset_of(source: Path) -> str:
    """Return the dataset that a notebook's parameters name."""
    found = re.search(r'(?:DATASET|FASHION) = \\"(\w+)', source.read_text())
    return found[1] if found else "digits"


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
        bring_records(results)
    outcomes = []
    for source in sources:
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
    found = [outcome for _, outcome, _, _ in outcomes]
    return 0 if "done" in found and "FAILED" not in found else 1


if __name__ == "__main__":
    sys.exit(main())
