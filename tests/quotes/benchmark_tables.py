"""What ``benchmarks/README.md`` quotes from ``benchmarks/results/``."""

from statistics import median

from . import brief, difference, in_words, results, row, rows, same, short, span

SIZES = (96, 128, 224)


def to(number, digits):
    """Return a number rounded to tens (1), hundreds (2) or thousands (3)."""
    return f"{round(number, -digits):,.0f}"


def studies_again():
    for study in dict.fromkeys(r["study"] for r in rows("again_gpu")):
        found = rows("again_gpu", study=study)
        apart = ", ".join(f"{r['strategy']} {difference(r)}" for r in found)
        if study == "diversity_fashion_mnist":  # ten strategies, in one sentence
            assert all(r["low"] < 0 < r["high"] for r in found)
            least, *_, most = sorted(r["difference"] for r in found)
            apart = f"between {least:+.3f} and {most:+.3f}, all intervals include zero"
        if study == "cifar10_probe":
            largest = {r["strategy"]: abs(r["difference"]) for r in found}
            assert max(largest.values()) < 1e-5
            assert largest["margin"] == largest["entropy"] == 0
            yield "| below 0.00001, either way; margin and entropy have their record's number"
            continue
        yield f"| {apart.replace('-', '−')} |"
    of_the_cnn = [r for r in rows("again_gpu") if "_probe" not in r["study"]]
    alone = sorted(r["p"] for r in of_the_cnn if r["p"] < 0.05)
    yield f"{in_words(len(alone))} are outside of their intervals by themselves (p = {alone[0]:.3f} and {alone[1]:.3f})"
    judged = [r for r in of_the_cnn if r["strategy"] != "random"]
    agree = sum(r["verdict"] == r["verdict_record"] for r in judged)
    yield f"Verdicts of these studies against random are those of the records in {agree} of {len(judged)}."


def on_a_gpu():
    floor = results("inference_gpu")["floor"]["gemm_flops"]
    yield f"at the precision JAX takes by default, was {floor / 1e12:.0f} TFLOP/s"
    for labels in (200, 1000, 5000):
        cells = [
            row("training_gpu", case=case, labels=labels)
            for case in ("al_tf", "model.fit, kept", "model.fit, fresh")
        ]
        speeds = " | ".join(to(r["samples_per_s"], 2) for r in cells)
        yield f"| {labels:,} labels | {speeds} | {100 * cells[0]['share_of_gemm']:.1f} % |"
    step = row("training_gpu", case="al_tf", labels=1000)["ms_per_step"]
    on_a_cpu = [r["cpu_ms_per_step"] for r in rows("training", case="al_tf")]
    yield f"A step takes {step:.2f} ms, where two cores need {span(on_a_cpu, '.0f')} ms of CPU time"
    ours, default, large, scaled = (
        row("inference_gpu", case=case)
        for case in ("al_tf: probabilities", "model.predict, by default", "model.predict, batches of 512",
                     "model.predict, 512, scaling counted")
    )  # fmt: skip
    yield (
        f"{to(ours['images_per_s'], 3)} images a second, {100 * ours['share_of_gemm']:.1f} % of the matrix rate; "
        f"`model.predict` {to(default['images_per_s'], 3)} by default and {to(large['images_per_s'], 3)} in batches "
        f"of 512 with images scaled beforehand ({to(scaled['images_per_s'], 3)} with the scaling)"
    )
    for size in SIZES:
        speeds = " | ".join(to(r["images_per_s"], 2) for r in rows("embedding_gpu", size=size))
        yield f"of {size} pixels | {speeds} |"
    one, many = (
        rows("vectorized_gpu", case="one after the other"),
        rows("vectorized_gpu", case="al_tf: as one"),
    )
    for name, found in (("one after the other", one), ("as one", many)):
        yield f"| seconds a run, {name} | {' | '.join(format(r['seconds_per_run'], '.3f') for r in found)} |"
    yield f"| times as fast | {' | '.join(format(r['ratio'], '.1f') for r in many)} |"


def linear_probe():
    yield f"GEMM rate was {results('embedding')['floor']['gemm_flops'] / 1e9:.0f} GFLOP/s"
    faster = []
    for size in SIZES:
        ours, *_, onnx = rows("embedding", size=size)
        ratio = ours["images_per_s"] / onnx["images_per_s"]
        faster.append(100 * (1 / ratio - 1))
        yield (
            f"| {size} | {ours['images_per_s']:.0f} | {ours['share_of_gemm']:.2f} | {ours['ratio_predict']:.2f} "
            f"| {ratio:.2f} |"
        )
    yield f"onnxruntime is {span(faster, '.0f')} % faster"
    for name, case in (("al_tf, linear probe",) * 2, ("modAL + scikit-learn",) * 2):
        r = row("probe_loop", case=case)
        yield (
            f"| {name} | {r['seconds']:.1f} | {r['cpu_seconds']:.1f} | {r['peak_mb']:.0f} | {r['accuracy']:.3f} |"
        )
    ours, _, many = rows("probe_loop")
    yield f"A ratio of {ours['ratio']:.2f} where"
    apart = results("probe_loop")["accuracy_difference"]
    yield f"differ by {apart['mean']:.3f} ± {apart['error']:.3f} (standard error)"
    yield f"on two workers took {many['seconds']:.0f} s, {many['seconds_per_run']:.1f} s a run"
    for name, case in (("probe, features kept", "al_tf, probe"), ("CNN", "cnn")):
        r = row("desk", case=case)
        yield (
            f"| {name} | {r['first_image']:.1f} | {brief(r['first_model'])} | {brief(r['retrain'])} "
            f"| {r['next_image_ms']:.0f}, {r['slowest_ms']:.0f} | {r['accuracy']:.2f} "
            f"({r['accuracy'] * r['audited']:.0f} of {r['audited']}) |"
        )


def inspector():
    for case in ("cnn, margin", "cnn, random", "probe, margin", "probe, random"):
        r = row("inspector", case=case)
        cells = [
            f"{r[name]:.2f} ± {r[f'sd_{name}']:.2f}"
            for name in ("recall", "precision", "average_precision")
        ]
        yield f"| {case.replace('cnn', 'CNN')} | {' | '.join(cells)} | {r['defects_labeled']:.0f} |"
    held_out = [case["held_out"] for case in results("inspector")["cases"].values()]
    yield f"held out by whole tile ({span(held_out, '.0f')} of them)"
    best, random, cnn = (
        row("inspector", case=case) for case in ("probe, margin", "probe, random", "cnn, margin")
    )
    yield (
        f"average precision {best['average_precision']:.2f} where the CNN, from the same 160 answers by margin, "
        f"reaches {cnn['average_precision']:.2f}. With the probe margin shows "
        f"{best['defects_labeled'] / random['defects_labeled']:.1f} times as many defects"
    )
    for name in ("probe", "cnn"):
        r = row("inspector_hurried", case=name)
        yield (
            f"| {name.replace('cnn', 'CNN')} | {r['first_image']:.1f} | {r['next_image_ms']:.1f}, "
            f"{r['slowest_ms']:.0f} | {r['retrain']:.{1 if name == 'cnn' else 2}f} | {100 * r['by_model']:.0f} % "
            f"| {r['export']:.1f} | {r['predict']:.1f} |"
        )


def desk():
    for r in rows("desk_scale"):
        yield (
            f"| {r['case']} | {r['page']:.1f} | {r['first_image']:.1f} | {r['next_ms']:.1f}, {r['next_95_ms']:.0f} "
            f"| {brief(r['batch_ms'])} | {r['grid_ms']:.0f} | {r['refresh']:.1f} ({r['refresh_cpu']:.1f}) "
            f"| {r['peak_mb']:,.0f} |"
        )
    read = [row("desk_scale", case=f"{n} files, first")["embedded"] for n in ("50,000", "500,000")]
    runs = [rows("desk_scale")[:2], *results("desk_scale")["more_runs"]]
    first, again = [
        [median(run[case][key] for run in runs) for key in ("first_image", "next_95_ms")]
        for case in (0, 1)
    ]
    yield (
        f"Of three such runs with 50,000 files, medians: first image after {first[0]:.1f} s ({again[0]:.1f} with "
        f"features known), 95 % of the next images within {first[1]:.0f} ms ({again[1]:.0f})."
    )
    yield f"({read[0]:,} of 50,000 and {read[1]:,} of 500,000 by the end)"


def label_studio():
    names = ("an annotation, until every tile has its new score", "`/predict` for all 1,344 tasks",
             "`/predict` for one task")  # fmt: skip
    for name, r in zip(names, rows("label_studio"), strict=True):
        yield f"| {name} | {r['seconds']:#.2g} | {r['per_second']:.0f} |"
    names = ("our score in Label Studio (`margin`)", "their import (sequential)", "chance (random)")
    for name, r in zip(names, rows("label_studio_order"), strict=True):
        yield f"| {name} | {r['mean']:.0f} | {r['least']} to {r['most']} |"


def networks():
    ours, half, theirs = rows("loop")
    yield (
        f"{ours['seconds']:.0f} s against {theirs['seconds']:.0f} s: {ours['ratio']:.2f} × (bfloat16 layers "
        f"{half['ratio']:.2f} ×;"
    )
    ours, theirs = rows("grid")
    yield (
        f"{ours['process_seconds']:.0f} s on two jobs against {theirs['process_seconds']:.0f} s one after the other: "
        f"{ours['ratio']:.2f} ×"
    )
    yield f"final accuracy over the four runs {ours['accuracy']:.3f} against {theirs['accuracy']:.3f}"
    (ours, theirs), (alone,) = rows("growth"), rows("growth_alone")
    steps = "a gradient step {ms_per_step_first:.1f} and {ms_per_step_last:.1f} ms"
    fifths = "{rss_mb_first:.0f} MB over the first fifth of the rounds, {rss_mb_last:.0f} MB over the last"
    other = "{rss_mb_first:,.0f} and {rss_mb_last:,.0f}".format(**theirs)
    yield f"resident memory {fifths.format(**ours)} (theirs {other}); {steps.format(**ours)}"
    yield f"{fifths.format(**alone)}; {steps.format(**alone)}"
    scoring = row("inference", case="al_tf: probabilities")
    yield f"{scoring['ratio_default']:.1f} × its default call ({scoring['ratio_512']:.2f} × with its batches at 512"
    yield f"{100 * scoring['share_of_gemm']:.0f} % of the machine's GEMM rate"
    training, half = (
        [r["cpu_ms_per_step"] for r in rows("training", case=case)]
        for case in ("al_tf", "al_tf, bfloat16")
    )
    less = [b / a for a, b in zip(training, half, strict=True)]
    half = (
        row("inference", case="al_tf, bfloat16: probabilities")["cpu_ms_per_image"]
        / scoring["cpu_ms_per_image"]
    )
    yield f"{span(less, '.2f')} of the CPU time in training and {half:.2f} in scoring"
    yield f"features at most 1.1 × probabilities alone | {results('inference')['features_cost']:.2f} ×"
    ratios = [r["ratio"] for r in rows("training", case="al_tf")]
    yield "{:.1f} × `model.fit` on a fresh model at 200 labels, {:.1f} × at 1,000, {:.1f} × at 5,000".format(
        *ratios
    )
    python, package, command = (
        row("startup", case=case)["seconds"]
        for case in ("python, nothing", "al_tf: import al_tf", "al_tf: al-tf --help")
    )
    yield f"{package:.2f} s; `al-tf --help` {command:.2f} s; Python itself takes {python:.2f} s"
    first = [row("scale", case=f"al_tf: {name}") for name in ("entropy", "kcenter", "badge")]
    _, *kept = (row("scale", case=f"{r['case']}, predictions kept") for r in first)
    growth = same(r["growth_mb"] for r in first)
    yield f"{growth} MB (entropy, k-center, BADGE) over the baseline, {span((r['seconds'] for r in first), '.0f')} s"
    yield (
        f"with predictions kept on disk {kept[0]['seconds']:.1f} and {kept[1]['seconds']:.1f} s instead of "
        f"{first[2]['seconds']:.0f} for a second strategy, and {kept[0]['growth_mb'] / 1000:.2f} and "
        f"{kept[1]['growth_mb'] / 1000:.2f} GB"
    )


def query(name, pool, batch=100):
    """Return a strategy's row of 64 columns."""
    return row("strategies", case=f"al_tf {name}", pool=pool, batch=batch)


def strategies():
    quadratic = {"kde", "softmax_outlier", "softmax_kde"}
    growth = results("strategies")["growth_exponents"]
    others = [n for name, n in growth.items() if name not in quadratic]
    softmax = same((growth[name] for name in ("softmax_outlier", "softmax_kde")), ".1f")
    yield (
        f"exponents {span(others, '.1f')} over 10,000 to 1,000,000; KDE {growth['kde']:.1f} and the published softmax "
        f"variants {softmax}"
    )
    slow = {"softmax_outlier", "batch_bald"}
    found = [name for name in growth if name != "kde"]
    seconds = {name: query(name, 50_000)["seconds"] for name in found}
    quick = [s for name, s in seconds.items() if name not in slow]
    yield (
        f"at 50,000, batch 100: {brief(min(quick))} to {brief(max(quick))} s, `softmax_outlier` {seconds['softmax_outlier']:.1f} s"
    )
    yield f"`batch_bald` {seconds['batch_bald']:.1f} s"
    most = {
        name: query(name, 1_000_000)["peak_mb"] / 1000 for name in found if name not in quadratic
    }
    large = {"max_disagreement", "epig", "batch_bald"}
    yield (
        f"{span((gb for name, gb in most.items() if name not in large), '.2f')} GB, `max_disagreement` "
        f"{most['max_disagreement']:.2f} GB; of the others `epig` takes {most['epig']:.1f} and `batch_bald` "
        f"{most['batch_bald']:.1f} GB"
    )
    bait = [query("bait", pool, 1000)["seconds"] for pool in (50_000, 10_000)]
    ranked, batch_bald, cbal = (
        query(s, 50_000, 1000)["seconds"] for s in ("ranked_batch", "batch_bald", "cbal")
    )
    yield f"In batches of 1,000 `bait` takes {bait[0]:.1f} s at 50,000 rows, and at 10,000 {bait[1]:.1f} s"
    yield f"`ranked_batch` {ranked:.1f} instead of"
    yield f"`batch_bald` {batch_bald:.0f} instead of 39 and 15 s, and `cbal` {cbal:.1f} instead of"


def wide_strategies():
    wide = results("strategies_wide")
    growth = wide["growth_exponents"]
    peers = {r["case"]: r for r in wide["against_peers"] if r["pool"] == 10_000}
    for name, exponent in growth.items():
        found = [
            rows("strategies_wide", case=f"al_tf {name}", pool=pool)
            for pool in (10_000, 50_000, 200_000)
        ]
        seconds = [f"{r[0]['seconds']:.3g}" if r else "" for r in found]
        memory = [f"{r[0]['peak_mb']:.0f}" if r else "" for r in found[1:]]
        times = f"{peers[name]['times_faster']:.3g}" if name in peers else ""
        yield f"| `{name}` | {' | '.join(seconds + memory)} | {exponent:.2f} | {times} |"
    at_50_000 = {
        name: row("strategies_wide", case=f"al_tf {name}", pool=50_000)["seconds"]
        for name in growth
    }
    yield (
        f"`softmax_outlier` {at_50_000['softmax_outlier']:.1f}, `max_herding` {at_50_000['max_herding']:.1f} and "
        f"`uherding` {at_50_000['uherding']:.1f}, in a run before"
    )
    (kcenter,) = (r for r in wide["against_peers"] if (r["case"], r["pool"]) == ("kcenter", 50_000))
    yield (
        f"k-center is {kcenter['times_faster']:.0f} times as fast as scikit-activeml's and takes "
        f"{kcenter['over_floor']:.2f} × the time of the plain algorithm"
    )
    yield f"`probcover` with {peers['probcover']['times_faster']:.1f}"


def million_rows():
    together = {"margin": "entropy", "bald": "power_bald"}
    found = {r["strategy"]: r for r in rows("strategies_million")}
    for name, r in found.items():
        if name not in together.values():
            names = ", ".join(f"`{n}`" for n in (name, together.get(name)) if n)
            memory = dict.fromkeys(
                f"{found[n]['peak_mb']:,.0f}" for n in (name, together.get(name)) if n
            )
            note = " (800 of them their samples)" if name == "bald" else ""
            mapped = f"{r['mapped_mb'] if r['mapped_mb'] > 1 else 0:,.0f}"
            yield f"| {names}{note} | {' and '.join(memory)} | {mapped} |"
    yield f"at most {max(r['peak_mb'] for r in found.values()) / 1000:.2f} GB"


def suspects():
    columns = [
        {"dataset": data, "labels": n}
        for data in ("magnetic_tile", "fashion_mnist")
        for n in (200, 1000)
    ]
    ways = {
        "the same, C = 0.3 as for learning": ("al_tf score self_confidence", 0.3),
        "by normalized margin": ("al_tf score normalized_margin", 0.01),
        "cleanlab: self-confidence, adjusted by class": (
            "cleanlab score self_confidence, adjusted",
            0.01,
        ),
        "cleanlab: confidence-weighted entropy": (
            "cleanlab score confidence_weighted_entropy",
            0.01,
        ),
        "disputed labels: precision, recall": ("al_tf flag disputed", 0.01),
        "cleanlab, prune by noise rate (its default)": ("cleanlab flag prune_by_noise_rate", 0.01),
        "cleanlab, confident learning": ("cleanlab flag confident_learning", 0.01),
    }
    gained = []
    for errors in (0.1, 0.3):
        table = f"| **{100 * errors:.0f} % wrong**: ranking by self-confidence, C = 0.01"
        best = [
            row("suspects", case="al_tf score self_confidence", C=0.01, errors=errors, **c)
            for c in columns
        ]
        table += "".join(f" | **{short(r['average_precision'], 2)}**" for r in best) + " |"
        for name, (case, penalty) in ways.items():
            found = [
                row("suspects", case=case, C=penalty, errors=errors, **column) for column in columns
            ]
            measures = ("precision", "recall") if " flag " in case else ("average_precision",)
            cells = [", ".join(short(r[m], 2) for m in measures) for r in found]
            table += f"\n| {name} | {' | '.join(cells)} |"
            if penalty == 0.3:
                pairs = zip(best, found, strict=True)
                gained += [a["average_precision"] - b["average_precision"] for a, b in pairs]
        yield table
    yield f"A stronger penalty than the probe learns with is worth {span(gained, '.2f')}."


def few_labels():
    for labels in (10, 50, 200):
        found = [
            row("few_labels", case=case, dataset=data, labels=labels)
            for data in ("fashion_mnist", "cifar10")
            for case in ("cnn", "probe")
        ]
        cells = [
            f"{r['accuracy']:.3f} [{r['accuracy_low']:.3f}, {r['accuracy_high']:.3f}]"
            for r in found
        ]
        yield f"| {labels} | {' | '.join(cells)} |"


def annotators():
    for data, name in (("magnetic_tile", "tiles"), ("fashion_mnist", "Fashion-MNIST")):
        for errors in (0.1, 0.3):
            table = f"| **{name}, {100 * errors:.0f} %**: "
            found = {r["case"]: r for r in rows("annotators", dataset=data, errors=errors)}
            for case, r in found.items():
                if "-" not in case:
                    never = r
                    continue
                wrong = f"{100 * r['wrong_labels']:.0f} %"
                if case == "random-always":
                    wrong += f" (never: {100 * never['wrong_labels']:.0f} %)"
                apart = difference(r) if "no difference" in r["verdict"] else f"**{difference(r)}**"
                ends = f"{short(never['final'])}, {short(r['final'])}"
                label = case.replace("-always", ", always").replace("-doubt-", ", doubt ")
                table += f"{label} | {r['images']:.0f} | {wrong} | {apart} | {ends} |\n| "
            yield table.removesuffix("\n| ")


def alike():
    for r in rows("alike"):
        yield (
            f"| {r['dataset']}, {r['way']} | {r['labels']:.0f} | {r['correct_per_minute']:.1f} "
            f"| {100 * r['wrong']:.1f} % | {r['macro_f1']:.2f} |"
        )
    faster = [
        row("alike", dataset=data, way="alike, 0.4 s a glance")["correct_per_minute"]
        / row("alike", dataset=data, way="one by one")["correct_per_minute"]
        for data in ("magnetic_tile", "fashion_mnist")
    ]
    yield f"At 0.4 s a glance, labels come {span(faster, '.1f')} times as fast on tiles and clothes"


def readme():
    for part in (
        studies_again, on_a_gpu, linear_probe, inspector, desk, label_studio, networks, strategies,
        wide_strategies, million_rows, suspects, few_labels, annotators, alike,
    ):  # fmt: skip
        yield from part()


PAGES = {"benchmarks/README.md": readme}
