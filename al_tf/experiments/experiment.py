"""`run_experiment`: all runs of a config, from where the last attempt stopped."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import (
    ConfigMismatchError,
    FolderInUseError,
    RecordError,
    RunFailedError,
    check_one_of,
)
from ..files import locked, storage_explained, write_json
from ..progress import progress_bar
from ..strategies import strategy_info
from .config import ExperimentConfig, check_same
from .features import backbone_of, embed_images, remove_features, sees_features
from .loop import is_complete, round_zero_path
from .model_settings import has_backbone
from .options import SIZE, options_in_use
from .parallel import Failures, Run, run_here, run_in_processes, run_on_dask
from .provenance import provenance, without_places
from .records import Record, RunKey, pack_records, read_runs, unpack_records
from .rounds import RoundCallback, RoundWatch
from .setting import load_data, make_setting
from .study import has_study, read_meta, run_keys, starting_records, write_meta, write_results
from .vectorized import check_vectorized, run_together

if TYPE_CHECKING:
    import pandas as pd

    from ..network.backbones import Backbone

BACKENDS = ("processes", "dask")
FAILURES = "failures"
_NAMED = 4
"""Runs of one failure that a message names."""


def run_experiment(
    config: ExperimentConfig,
    out_dir: str | Path,
    *,
    jobs: int | None = None,
    backend: str = "processes",
    scheduler: str | None = None,
    vectorized: bool = False,
    progress: bool = True,
    on_round: RoundCallback | Sequence[RoundCallback] = (),
) -> pd.DataFrame:
    """Carry out an experiment, or what is left of it, and return its results.

    The same call after an interruption of any kind goes on from the last record and ends with
    the same numbers. A config with more strategies, seeds or rounds adds to the folder: new runs
    start from the round 0 that is recorded there, and where its model was not kept it is trained
    again and has to give the recorded numbers.

    Parameters
    ----------
    config : ExperimentConfig
        What to do.
    out_dir : str or Path
        The study's folder; see `al_tf.experiments.study` for what is in it.
    jobs : int, optional
        Worker processes, each with ``config.threads`` threads; by default as many as there are
        cores for. 0 runs everything in this process, for a debugger: should TensorFlow
        already be at work here with more threads, last digits can differ.
    backend : {"processes", "dask"}
        Where runs are computed.
    scheduler : str, optional
        Address of the Dask scheduler. Its workers must see `out_dir` under the same path. Those
        of an experiment with a probe first embed the images, see `embed_on_cluster`.
    vectorized : bool
        Train the networks of all runs as one, in this process (``model="cnn"`` on Keras' JAX
        backend): in each round, all strategies of all seeds are asked, then their models take
        their gradient steps together. Records differ from those of single runs by rounding alone.
        Meant for a GPU, which a small network of one run leaves idle.
    progress : bool
        Show a bar over the rounds of all runs, with the time left.
    on_round : callable or sequence of callables, optional
        Called with a `FinishedRound` after each round of each run, as soon as it is recorded:
        `MLflowTracker`, `TensorBoardTracker`, or a function of yours. The calls come one after
        the other from a thread of this process, whatever process computes the runs. One that
        raises is warned of and not called any more; the experiment goes on.

    Returns
    -------
    DataFrame
        As `load_results`; also written to ``results.csv``.

    Raises
    ------
    ConfigMismatchError
        The folder holds another experiment; the differences are listed, also those of options whose
        default has changed since.
    FolderInUseError
        Another process is at work in it.
    RecordError
        A record there is damaged, runs of one seed start from different models, or a ``results.csv``
        there is of no study.
    StorageError
        The folder cannot be written, or its disk is full.
    RunFailedError
        Some runs failed. The others are complete, and the same call tries those again.

    Examples
    --------
    >>> import tempfile
    >>> from al_tf import ExperimentConfig, run_experiment
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random", "margin"], seeds=[0], model="logistic",
    ...     initial=50, batch=25, rounds=1, pool=200)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = run_experiment(config, folder, jobs=0, progress=False)
    >>> results.groupby("strategy")["n_labeled"].max().to_dict()
    {'margin': 75, 'random': 75}
    """
    check_one_of("backend", backend, BACKENDS)
    if (scheduler is None) == (backend == "dask"):
        raise ValueError("A scheduler address and backend='dask' go together; give both or none.")
    if jobs is not None and jobs < 0:
        raise ValueError(f"jobs must be 0 or more; got {jobs}.")
    if vectorized:
        check_vectorized(config, backend, jobs)
    out = Path(out_dir).resolve()
    with storage_explained(out), _exclusive_use_of(out):
        meta = _begin(config, out)
        keys = run_keys(config.to_dict())
        records = read_runs(out, keys)
        runs = _unfinished(config, records)
        _prepare(out, runs, starting_records(records, out))
        if runs and sees_features(config):
            seeds = dict.fromkeys(run.seed for run in runs)
            embed_images(config, seeds, out, progress=progress, scheduler=scheduler)
        watch = RoundWatch(config, out, meta, [on_round] if callable(on_round) else on_round)
        watch.catch_up(records)
        failures: Failures = {}
        try:
            with (
                _progress_bar(config, out, records, shown=progress) as advance,
                watch.watching([(run.label, run.seed) for run in runs], advance),
            ):
                if not runs:
                    pass
                elif scheduler is not None:
                    failures = run_on_dask(config, runs, out, scheduler)
                elif vectorized:
                    failures = run_together(config, runs, out)
                elif jobs == 0:
                    failures = run_here(config, runs, out)
                else:
                    jobs = jobs or default_jobs(config)
                    failures = run_in_processes(config, runs, out, jobs)
        finally:
            results = write_results(out)
        _report_failures(out, failures, len(keys))
        pack_records(out, keys)
        remove_features(out)
    return results


def default_jobs(config: ExperimentConfig) -> int:
    """Return for how many runs at once this machine has cores."""
    from loky import cpu_count

    return max(1, cpu_count() // config.threads)


def _other_pillow(old: Mapping[str, Any]) -> str:
    """Say which versions of Pillow decoded the data, if not the same."""
    then, now = old["versions"].get("pillow"), provenance()["versions"]["pillow"]
    if then == now:
        return ""
    return (
        f" Pillow, which decodes image files, is {now} now and was {then or 'not recorded'} then."
    )


def _exclusive_use_of(out: Path) -> AbstractContextManager[None]:
    busy = FolderInUseError(
        f"Another process is running an experiment in {out}. Wait for it, end it, or use "
        "another folder."
    )
    return locked(out / ".locks" / "experiment.lock", seconds=0, busy=busy)


def _begin(config: ExperimentConfig, out: Path) -> dict[str, Any]:
    """Check the folder against the config and the data, write ``study.toml`` and return it."""
    old = read_meta(out) if has_study(out) and not _failed_from_the_start(out) else None
    if old is not None:
        check_same(old, config, out)
    elif not has_study(out) and (table := out / "results.csv").exists():
        raise RecordError(
            f"{table} would be overwritten, and is of no study: no study.toml lies beside it. Take "
            "another folder."
        )
    data = load_data(config, 0)
    if old is not None and old["data_fingerprint"] != data.fingerprint:
        raise ConfigMismatchError(
            f"The data of {config.dataset!r} have changed since {out} was begun: fingerprint "
            f"{old['data_fingerprint'][:12]} then, {data.fingerprint[:12]} now."
            f"{_other_pillow(old)} Use another folder."
        )
    backbone = backbone_of(config) if has_backbone(config.model) else None
    fingerprint = None if backbone is None else backbone.fingerprint
    if old is not None and old.get("backbone_fingerprint") != fingerprint:
        raise ConfigMismatchError(
            f"The backbone {config.backbone!r} is not the one that {out} was begun with: "
            f"fingerprint {str(old.get('backbone_fingerprint'))[:12]} then, {str(fingerprint)[:12]} "
            "now. Use another folder."
        )
    make_setting(config, config.seeds[0])  # too small a pool, a wrong noise matrix: now
    now = provenance()
    meta: dict[str, Any] = {
        "about": old.get("about") if old else None,  # the author's own sentence
        "config": config.to_dict(),
        "options": options_in_use(config.to_dict()) | _size_of(backbone),
        "config_hash": config.digest,
        "class_names": list(data.class_names),
        "data_source": old["data_source"] if old else without_places(data.source),
        "data_fingerprint": data.fingerprint,
        "backbone_fingerprint": fingerprint,
        **now,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    if old is not None:
        kept = {name: old.get(name) for name in (*now, "began")}
        before = [kept, *old.get("continued", [])]
        latest = before[-1]
        same = all(latest.get(k) == now[k] for k in ("versions", "git_commit", "command"))
        unfinished = _unfinished(config, read_runs(out, run_keys(config.to_dict())))
        if "options" not in old and unfinished:
            _warn_of_defaults(out)
        elif "options" not in old:
            meta["options"] = None
        if unfinished and not same:
            before.append({**now, "began": meta["began"]})
        meta |= {**kept, "continued": [_known(later) for later in before[1:]] or None}
    write_meta(out, meta)
    return _known(meta)


def _failed_from_the_start(out: Path) -> bool:
    """Whether all that a folder holds of an experiment is that its runs failed before round 0 ended.

    Its configuration may be the reason, and must not stand in the way of the one that is right.
    """
    if not any((out / FAILURES).glob("*.txt")) or any((out / "round0").glob("*.json")):
        return False
    return not any(read_runs(out, run_keys(read_meta(out)["config"])).values())


def _size_of(backbone: Backbone | None) -> dict[str, Any]:
    """Return the option that a backbone sees images of a size; one that no setting states is left out."""
    size = None if backbone is None else backbone.size
    return {SIZE: size} if isinstance(size, int) else {}


def _warn_of_defaults(out: Path) -> None:
    """Warn that a study of an earlier version does not say which options it left at their default."""
    warnings.warn(
        f"{out} was begun by a version that did not write down options left at their default. They "
        "are taken to be today's; if one has changed since, state the value there.",
        stacklevel=4,
    )


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _prepare(out: Path, runs: list[Run], starts: dict[int, Record]) -> None:
    """Give each unfinished run its file, and each seed the round 0 that is recorded for it."""
    unpack_records(out, [(run.label, run.seed) for run in runs])
    for seed in {run.seed for run in runs} & starts.keys():
        path = round_zero_path(out, seed)
        if not path.exists():
            write_json(path, starts[seed] | {"strategy": None})


def _unfinished(config: ExperimentConfig, records: dict[RunKey, list[Record]]) -> list[Run]:
    """Return the runs that lack a round, strategy by strategy, so that seeds start apart."""
    every = tuple(strategy_info(spec.name) for spec in config.strategies)
    asked = {spec.label: (info,) for spec, info in zip(config.strategies, every, strict=True)}
    return [
        Run(label, seed, asked.get(label, every))
        for label in config.labels
        for seed in config.seeds
        if not is_complete(config, records[label, seed])
    ]


@contextmanager
def _progress_bar(
    config: ExperimentConfig, out: Path, records: dict[RunKey, list[Record]], *, shown: bool
) -> Iterator[Callable[[int], object]]:
    """Show how many rounds are recorded; yield what is called with the number of new ones."""
    stopped = [r for r in records.values() if is_complete(config, r)]
    going = sum(len(r) for r in records.values() if not is_complete(config, r))
    initial = len(stopped) * (config.rounds + 1) + going
    total = len(records) * (config.rounds + 1)
    with progress_bar(
        total=total, initial=initial, unit="round", desc=out.name, shown=shown
    ) as bar:
        yield bar.update


def _report_failures(out: Path, failures: Failures, n_runs: int) -> None:
    folder = out / FAILURES
    for old in folder.glob("*.txt"):
        old.unlink()
    if not failures:
        return
    folder.mkdir(exist_ok=True)
    names: dict[str, list[str]] = {}
    for name, failure in failures.items():
        (folder / f"{name}.txt").write_text(failure.trace)
        names.setdefault(failure.summary, []).append(name)
    lines = [
        f"  {first}: {summary}" + (f"\n    the same: {_shortened(more)}" if more else "")
        for summary, (first, *more) in names.items()
    ]
    others = "" if len(failures) == n_runs else "The others are complete. "
    raise RunFailedError(
        f"{len(failures)} of {n_runs} runs failed:\n"
        + "\n".join(lines)
        + f"\n{others}Tracebacks: {folder}. The same command tries these again."
    )


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
