"""What guides and docstrings quote from ``benchmarks/results/``."""

import numpy as np

from . import brief, in_words, results, row, rows, same, short, span, table

PROBE_DATA = (("magnetic_tile", "macro_f1"), ("fashion_mnist", "accuracy"), ("cifar10", "accuracy"))
LABELS = (10, 50, 200, 1000)


def gpu_guide():
    yield from many_runs_as_one()
    yield from embedding()
    yield from memory()


def many_runs_as_one():
    parts = [1 / row("vectorized_gpu", case="al_tf: as one", runs=n)["ratio"] for n in (16, 64)]
    yield f"16 or 64 runs trained as one take {in_words(same(parts, '.1f'))} the time of the same runs"
    seconds = table("fashion_mnist", "results").filter(like="seconds_").sum().sum()
    assert round(seconds / 2 / 3600) == 1, "hours on two cores: the sentence says an hour"
    runs = rows("again_gpu", study="fashion_mnist")
    yield (
        f"notebook 02, {in_words(10 * len(runs))} runs, took {runs[0]['seconds']:.0f} seconds there, about an hour "
        "on two cores"
    )


def embedding():
    cpu, gpu = (
        [round(r["images_per_s"]) for r in rows(f"embedding{x}", case="al_tf")]
        for x in ("", "_gpu")
    )
    yield "two cores embed {}, {} and {} images a second at 96, 128 and 224 pixels".format(*cpu)
    yield "so one core {:.0f}, {:.0f} and {:.0f}.".format(*(rate / 2 for rate in cpu))
    for millions, name in ((1, "1 million"), (10, "10 million"), (100, "100 million")):
        hours = [millions * 1e6 / rate / 3600 for rate in cpu]
        cells = [" / ".join(brief(part * h) for h in hours) for part in (2, 1, 1 / 32)]
        yield f"| {name} | {cells[0]} | {cells[1]} | {cells[2]} |"
    yield f"1,000,000 / {cpu[2]:.0f} / 3,600 = {1e6 / cpu[2] / 3600:.1f} hours"
    yield f"64 × {cpu[2] / 2:.0f} images of 224 pixels a second, {round(32 * cpu[2], -2):,}."
    yield "JAX embeds {:,}, {:,} and {:,} images a second".format(*gpu)
    yield "a million in {:.1f}, {:.1f} and {:.1f} minutes".format(
        *(1e6 / rate / 60 for rate in gpu)
    )


def memory():
    for name in ("margin", "kcenter", "badge", "typiclust", "bald"):
        query = row("strategies", case=f"al_tf {name}", pool=1_000_000, batch=1000)
        gigabytes = query["peak_mb"] / 1000
        yield (
            f"| `{name}` | {brief(gigabytes)} GB, {brief(query['seconds'])} s | {brief(10 * gigabytes)} GB "
            f"| {brief(100 * gigabytes)} GB |"
        )


def practitioner():
    recall = [row("inspector", case=f"probe, {s}")["recall"] for s in ("margin", "random")]
    halves = same(2 * share for share in recall)
    yield (
        f"After {results('inspector')['answers']} answers on photographs of magnetic tiles, the model called about "
        f"{in_words(int(halves) / 2)} of the defects defective"
    )


def build_cnn():
    networks = {
        name: [row("cnn", dataset=data, network=name) for data in ("fashion_mnist", "cifar10")]
        for name in (r["network"] for r in rows("cnn", dataset="cifar10"))
    }
    default = networks["32/64/64, dense 128"]
    written = {
        "dense 128": "dense 128 (default)",
        "valid": "no padding",
        "dropout 0.25": "dropout ¼",
    }
    for name, found in networks.items():
        ending = name.removeprefix("32/64/64, ").removeprefix("dense 128, ")
        label = name.removesuffix(ending) + written.get(ending, ending)
        cost = [
            f"{a['ms_per_step'] / b['ms_per_step']:.1f}"
            for a, b in zip(found, default, strict=True)
        ]
        cost = "1" if found is default else "–".join(sorted(set(cost)))
        yield f"{label} {found[0]['accuracy']:.3f} {found[1]['accuracy']:.3f} {cost}"
    spread = [r["accuracy_sd"] for r in rows("cnn")]
    yield f"Seeds differ by {span(spread, '.3f')} (SD)"
    full, half = (
        [r["samples_per_s"] for r in rows("training", case=f"al_tf{x}")] for x in ("", ", bfloat16")
    )
    training = [b / a for a, b in zip(full, half, strict=True)]
    full, half = (
        row("inference", case=f"al_tf{x}: probabilities")["images_per_s"]
        for x in ("", ", bfloat16")
    )
    yield f"trains {span(training, '.1f')} times and predicts {half / full:.1f} times as fast"


def build_finetuned():
    written = {
        "probe": "`LinearProbeClassifier`",
        "top, augment": "top, augmented",
        "all, augment": "all, augmented",
    }
    spread = []
    for case in ("probe", "head", "top", "all", "top, augment", "all, augment"):
        found = [
            [r["macro_f1"] for r in rows("finetuned", case=case, labels=n)] for n in (200, 1000)
        ]
        spread += [np.std(values, ddof=1) for values in found]
        yield " ".join([written.get(case, case), *(short(np.mean(values)) for values in found)])
    yield f"means of {len(found[0])} seeds, SD {span((round(sd, 2) for sd in spread), 'g')}"


def probe_at(size, penalty, floor):
    """Return the rows of the three datasets, by dataset and labels."""
    found = rows("probe", size=size, C=penalty, floor=floor)
    return {(r["dataset"], r["labels"]): r for r in found}


def linear_probe():
    settings = [
        (224, 0.3, 5), (224, 0.3, 0), (224, 0.1, 10), (224, 0.03, 5), (224, 0.1, 5), (224, 1, 5),
        (160, 0.3, 5), (128, 0.3, 5), (96, 0.3, 5),
    ]  # fmt: skip
    for size, penalty, floor in settings:
        found = probe_at(size, penalty, floor)
        values = " ".join(
            short(found[data, n][metric]) for data, metric in PROBE_DATA for n in LABELS
        )
        default = " (default)" if (size, penalty, floor) == settings[0] else ""
        yield f"{size}, {penalty}, {floor}{default} {values}"
    best, plain, small = (probe_at(*settings[i]) for i in (0, 1, -1))
    spread = [best["magnetic_tile", n]["macro_f1_sd"] for n in LABELS]
    yield f"split by tile, which alone moves it by {span(spread, '.2f')} SD"
    lost = [
        100 * (best[data, n]["accuracy"] - plain[data, n]["accuracy"])
        for data in ("fashion_mnist", "cifar10")
        for n in (10, 50)
    ]
    yield f"10 to 50 labels of Fashion-MNIST and CIFAR-10 are worth {span(lost, '.0f')} points less"
    gained = [
        100 * (best[data, n][metric] - small[data, n][metric])
        for data, metric in PROBE_DATA
        for n in (200, 1000)
    ]
    yield f"With 200 labels or more, 224 pixels are {span(gained, '.0f')} points better than 96"


PAGES = {
    "docs/guides/gpu_and_cluster.md": gpu_guide,
    "docs/guides/practitioner.md": practitioner,
    "al_tf/network/models.py": build_cnn,
    "al_tf/network/finetuned.py": build_finetuned,
    "al_tf/network/probe.py": linear_probe,
}
