"""What pages and docstrings quote from the studies in ``figures/``."""

import math

import numpy as np

from . import curve, in_words, points, records, row, same, span, table, verdict

CIFAR, FASHION = "few_labels_cifar10", "few_labels_fashion_mnist"
FEW = (CIFAR, FASHION)
BOTH = ("max_herding", "uherding")


def savings(study, strategy="margin"):
    """Return with how many labels a strategy is where random ends, in tens."""
    last = table(study, "results").n_labeled.max()
    return round(last / verdict(study, strategy).label_savings, -1)


def at(study, labels, *strategies):
    """Return the gain that strategies share with so many labels, in points."""
    return same(points(study, strategy, labels) for strategy in strategies)


def side(study, *strategies):
    """Return on which side of random all of these strategies are."""
    words = {"better": "above random", "worse": "below random", "no": "level with random"}
    found = {words[verdict(study, strategy).verdict.split()[0]] for strategy in strategies}
    return " or ".join(sorted(found))


def negation(study, strategy="margin"):
    """Return "not " unless a strategy is better than random."""
    return "" if side(study, strategy) == "above random" else "not "


def first(study):
    """Return the first number of labels at which results were recorded."""
    return table(study, "results").n_labeled.min()


def last(study):
    """Return the last one."""
    return table(study, "results").n_labeled.max()


def overtakes(study, strategy, other):
    """Return the number of labels from which on a strategy is ahead of another one."""
    ahead = curve(study, strategy) > curve(study, other)
    return ahead.index[ahead[::-1].cummin()[::-1]].min()


def readme():
    yield (
        f"With {savings('fashion_mnist'):.0f} labels that margin sampling chose, a small network is as accurate as "
        f"with {last('fashion_mnist'):,} random ones (ten paired seeds)"
    )
    yield (
        f"With {first(CIFAR)} labels**, before there is a model, let `typiclust`, `max_herding` or `uherding` "
        "choose: on frozen features of a pretrained network the first is "
        f"{at(CIFAR, 10, 'typiclust')} points of accuracy above random on CIFAR-10 and "
        f"{at(FASHION, 10, 'typiclust')} on Fashion-MNIST, the others {at(CIFAR, 10, *BOTH)} and "
        f"{at(FASHION, 10, *BOTH)} (`few_labels_cifar10`, `few_labels_fashion_mnist`; twenty paired seeds)"
    )
    below = same((side(study, "entropy", "kcenter") for study in FEW), "")
    diverse = "diversity_fashion_mnist_probe"
    assert side(diverse, "entropy", "kcenter", "density") == below
    yield (
        f"`bait`, which is slower: {at(CIFAR, 100, 'uherding', 'bait')} and {at(FASHION, 100, 'uherding', 'bait')} "
        f"points, while entropy and k-center are {below} (the same two), as they and the densest images are from "
        f"{first(diverse)} to {last(diverse)} (`{diverse}`)"
    )
    late = {study: [points(study, s, 500) for s in ("uherding", "bait", "margin")] for study in FEW}
    yield (
        f"`margin` are all about {in_words(same(late[CIFAR]))} point above random on CIFAR-10, not quite "
        f"{in_words(same(map(math.ceil, late[FASHION])))} on Fashion-MNIST"
    )
    yield (
        f"with frozen features it pays {negation('fashion_mnist_probe')}on Fashion-MNIST (`fashion_mnist_probe`) and, "
        f"to {last('cifar10_probe'):,}, {negation('cifar10_probe')}on CIFAR-10 (`cifar10_probe`), with a small CNN "
        f"{negation('fashion_mnist')}on the first (`fashion_mnist`) and {negation('cifar10')}on the second (`cifar10`)"
    )
    cnn, probe = (
        curve(f"defects_{m}0_percent_errors", "random", "f1_macro") for m in ("", "probe_")
    )
    asked = [
        points(f"defects_{model}{errors}_percent_errors", "uncertainty", 200, "f1_macro")
        for model in ("", "probe_")
        for errors in (0, 10)
    ]
    yield (
        f"on magnetic tiles a pretrained network gains {100 * (probe - cnn)[200]:.0f} points of macro F1 at 200 "
        f"labels, no strategy {in_words(math.ceil(max(asked)))} (`defects_0_percent_errors` and its siblings)"
    )


def front_page():
    yield (
        f"margin sampling reaches with some {savings('fashion_mnist'):.0f} labels what random sampling reaches with "
        f"{last('fashion_mnist'):,}, over ten paired seeds"
    )
    three = ("uncertainty", "margin", "entropy")
    yield (
        f"on CIFAR-10 the same strategies are {side('cifar10', *three)} ([the study](studies/cifar10.md)) with that "
        "small network, and ahead of it on features of a pretrained one"
    )
    assert side("cifar10_probe", *three) == "above random"


def defects_found(study, strategy):
    """Return recall and average precision of the defects at the last number of labels, means over the seeds."""
    end = [r for r in records(study) if r["strategy"] == strategy and r["n_labeled"] == last(study)]
    return [np.mean([r[name][1] for r in end]) for name in ("recall", "average_precision")]


def what_they_show():
    yield from uncertainty_strategies()
    yield from defects()
    yield from how_many_labels()
    yield from unit_length()
    yield from not_always()


def uncertainty_strategies():
    gain = verdict("fashion_mnist").difference
    yield f"the accuracy that random reaches at 1,200 labels after some {savings('fashion_mnist'):.0f}"
    part = verdict("fashion_mnist_probe").difference / gain
    yield f"margin gains {in_words(round(2 * part) / 2)} as much and least confidence a little; for entropy no difference"
    tail = verdict("imbalanced_fashion_mnist").difference / gain
    yield f"margin gains nearly {in_words(math.ceil(tail))} times as much, and for entropy ten seeds show no difference"
    with_probe = [
        verdict("imbalanced_fashion_mnist_probe", s).difference
        for s in ("uncertainty", "margin", "entropy")
    ]
    yield f"all three gain {span(with_probe, '.2f')} of macro F1"


def defects():
    cnn, probe = "defects_0_percent_errors", "defects_probe_0_percent_errors"
    curves = {
        (s, q): curve(s, q, "f1_macro") for s in (cnn, probe) for q in ("random", "uncertainty")
    }
    both = [value for (study, _), values in curves.items() if study == cnn for value in values]
    yield f"the CNN stays at a macro F1 of {span(both, '.2f')} whichever images are labeled (ten seeds)"
    random, asked = curves[probe, "random"], curves[probe, "uncertainty"]
    yield (
        f"goes from {random[100]:.2f} to {random[200]:.2f} with random images and to {asked[200]:.2f} with the least "
        "certain ones"
    )
    found = {(s, q): defects_found(s, q) for s in (probe, cnn) for q in ("random", "uncertainty")}
    recall, precision = (
        [f"{values[i]:{form}}" for values in found.values()]
        for i, form in enumerate((".0%", ".2f"))
    )
    recall = [text.replace("%", " %") for text in recall]
    yield (
        f"recognises {recall[0]} and {recall[1]} of the defects instead of {recall[2]} and {recall[3]}, and ranks "
        f"them with an average precision of {precision[0]} and {precision[1]} instead of {precision[2]} and "
        f"{precision[3]}"
    )
    few = {
        (case, data): [
            row("few_labels", case=case, dataset=data, labels=n)["accuracy"] for n in (10, 50, 200)
        ]
        for case in ("cnn", "probe")
        for data in ("fashion_mnist", "cifar10")
    }
    percent = {
        key: "{:.0f}, {:.0f} and {:.0f} %".format(*(100 * x for x in few[key])) for key in few
    }
    yield (
        f"is right on {percent['probe', 'fashion_mnist']} of Fashion-MNIST's test images where the CNN is right on "
        f"{percent['cnn', 'fashion_mnist']}, and on {percent['probe', 'cifar10']} of CIFAR-10's where the CNN is right "
        f"on {percent['cnn', 'cifar10']} (ten paired seeds, `benchmarks/few_labels.py`)"
    )


def how_many_labels():
    yield (
        f"choose by `typiclust`, which gains {at(CIFAR, 10, 'typiclust')} and {at(FASHION, 10, 'typiclust')} points "
        f"of accuracy over random, or by `max_herding` or `uherding`, which gain {at(CIFAR, 10, *BOTH)} and "
        f"{at(FASHION, 10, *BOTH)}. Up to 100 labels go on with `uherding`, or take `bait`, which gain "
        f"{at(CIFAR, 100, 'uherding', 'bait')} and {at(FASHION, 100, 'uherding', 'bait')} there"
    )
    parts = [100 * verdict(study, s).attainable for study in FEW for s in ("uherding", "bait")]
    yield f"`uherding` and `bait` reach {span(parts, '.0f')} % of the gain of the upper line"
    margin = [overtakes(study, "margin", "typiclust") for study in FEW]
    yield f"Margin overtakes typical images from {margin[0]} and {margin[1]} labels on"
    yield f"on [Fashion-MNIST](fashion_mnist_probe.md) (seen to {last('fashion_mnist_probe'):,})"
    yield f"on [CIFAR-10](cifar10_probe.md) (to {last('cifar10_probe'):,})"


def unit_length():
    gain = {
        s: verdict("unit_length_cifar10", s).difference
        for s in table("unit_length_cifar10", "verdict").strategy
    }
    yield (
        f"TypiClust gains {gain['typiclust']:.3f} over random in place of {gain['typiclust_unit']:.3f} on "
        "[CIFAR-10](unit_length_cifar10.md), and for ProbCover no difference is shown in place of a gain of "
        f"{gain['probcover_unit']:.3f}"
    )
    assert side("unit_length_cifar10", "probcover") == "level with random"


def not_always():
    three = ("uncertainty", "margin", "entropy")
    cnn = [verdict("cifar10", s) for s in three]
    within = max(abs(end) for row in cnn for end in (row.low, row.high))
    yield (
        f"the same three strategies are {side('cifar10', *three)}, to within {in_words(math.ceil(200 * within) / 2)} a "
        "point of accuracy"
    )
    assert side("cifar10_probe", *three) == "above random"
    area = [verdict("cifar10_probe", s).difference for s in three]
    end = at("cifar10_probe", last("cifar10_probe"), *three)
    yield (
        f"by {span(area, '.3f')} of area from {first('cifar10_probe'):,} labels to {last('cifar10_probe'):,}, and by "
        f"{in_words(end)} point of accuracy at the end"
    )
    rise = {k: curve(f"entropy_cluster_k{k}", "random") for k in (1, 100)}
    rise = {k: 100 * (values.iloc[-1] - values.iloc[0]) for k, values in rise.items()}
    yield (
        f"Of the {rise[100]:.0f} points its curve rises with 100 labels per round, {rise[1]:.0f} remain with [one "
        "label per round]"
    )


def typiclust():
    lengths = ("typiclust", "typiclust_unit")
    early = [at("unit_length_cifar10", 10, strategy) for strategy in lengths]
    yield f"from {early[0]} to {early[1]} points of accuracy"
    mean = [100 * verdict("unit_length_cifar10", strategy).difference for strategy in lengths]
    yield f"the mean gain up to 500 labels from {mean[0]:.1f} to {mean[1]:.1f}"


def probcover():
    cifar, fashion = (
        {
            s: 100 * verdict(f"unit_length_{data}", s).difference
            for s in ("probcover", "probcover_unit")
        }
        for data in ("cifar10", "fashion_mnist")
    )
    yield (
        f"above random on CIFAR-10 ({cifar['probcover_unit']:+.1f} points) and below it on Fashion-MNIST "
        f"({fashion['probcover_unit']:+.1f})"
    )
    yield (
        f"level with random on CIFAR-10 ({cifar['probcover']:+.1f}) and below it on Fashion-MNIST "
        f"({fashion['probcover']:+.1f})"
    )


PAGES = {
    "README.md": readme,
    "docs/index.md": front_page,
    "docs/studies/index.md": what_they_show,
    "al_tf/strategies/typiclust.py": typiclust,
    "al_tf/strategies/probcover.py": probcover,
}
