"""The command evaluate: what a model is worth on labeled images, and from where to reject."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._printing import print_table, say_loading, warn

if TYPE_CHECKING:
    from ..labeling.costs import RejectionThreshold
    from ..labeling.exchange.evaluate import Evaluation
    from ..labeling.items import Estimate


def evaluate(
    model: Annotated[Path, typer.Argument(help="A .keras file of `al-tf export`.")],
    truth: Annotated[
        Path,
        typer.Argument(
            help="CSV of file names and labels; or a ledger, for its random audit images."
        ),
    ],
    images: Annotated[Path, typer.Option("--images", help="The folder of images.")],
    wanted_recall: Annotated[
        list[str] | None,
        typer.Option(help="CLASS=RECALL, such as defective=0.95: the threshold that reaches it."),
    ] = None,
    costs: Annotated[
        list[str] | None,
        typer.Option(
            help="CLASS=MISSED:FALSE_ALARM, such as defective=50:1: the cheapest threshold."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for tables and pictures of the mistakes.")
    ] = None,
) -> None:
    """Compare a model with labels: recall, false alarms, thresholds, pictures of its mistakes."""
    from ..labeling.exchange.evaluate import evaluate_model
    from ..labeling.exchange.evaluation_report import write_report

    recalls = [_recall_wish(text) for text in wanted_recall or ()]
    prices = [_price(text) for text in costs or ()]
    if out is not None and out.exists():
        raise FileExistsError(f"{out} exists already. Name a new folder.")
    say_loading()
    asked = [label for label, _ in recalls] + [label for label, _, _ in prices]
    result = evaluate_model(model, truth, images, of_classes=asked, progress=True)
    _print_quality(result)
    for label, recall in recalls:
        _print_recall_threshold(result, label, recall)
    for label, missed, false_alarm in prices:
        _print_cheapest_threshold(result, label, missed, false_alarm)
    if out is not None:
        write_report(result, out)
        typer.echo(f"Tables and pictures of the mistakes: {out / 'index.html'}")
    warn(result.problems)


def add_commands(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(evaluate)


def _print_quality(result: Evaluation) -> None:
    commonest = result.commonest
    typer.echo(f"{len(result.ids)} labeled images; in brackets: exact 95% intervals.")
    typer.echo(f"Accuracy {_text(result.accuracy)}")
    typer.echo(f"Always {commonest.label!r}: {_text(commonest.accuracy)}")
    print_table(
        ("class", "images", "recall", "missed", "precision", "false alarms"),
        [
            (
                quality.label, str(quality.images), _text(quality.recall), str(quality.missed),
                _text(quality.precision), str(quality.false_alarms),
            )
            for quality in result.per_class()
        ],
    )  # fmt: skip


def _print_recall_threshold(result: Evaluation, label: str, wanted: float) -> None:
    from ..labeling.exchange.evaluate import CONFIDENCE

    typer.echo(f"\nFor a recall of {wanted:.1%} of {label!r}, reject where p({label}) is at least:")
    _print_threshold("on these images", result.by_recall(label, wanted))
    try:
        assured = result.by_recall(label, wanted, CONFIDENCE)
    except ValueError as error:
        typer.echo(f"  {error}")
    else:
        _print_threshold(f"{CONFIDENCE:.0%} sure on others", assured)


def _print_cheapest_threshold(
    result: Evaluation, label: str, missed: float, false_alarm: float
) -> None:
    cheapest, fair = result.by_costs(label, missed, false_alarm)
    typer.echo(
        f"\nWhere a missed {label!r} costs {missed:g} and a false alarm {false_alarm:g}, reject where "
        f"p({label}) is at least:"
    )
    for name, choice in (("cheapest on these images", cheapest), ("if calibrated", fair)):
        cost = choice.missed * missed + choice.false_alarms * false_alarm
        _print_threshold(name, choice, f", cost {cost:g}")


def _print_threshold(name: str, choice: RejectionThreshold, more: str = "") -> None:
    at = "never" if math.isinf(choice.threshold) else f"{choice.threshold:.3g}"
    typer.echo(
        f"  {at} ({name}): recall {_text(choice.recall)}, precision {_text(choice.precision)}, "
        f"{choice.missed} missed, {choice.false_alarms} false alarms{more}"
    )


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"


def _recall_wish(text: str) -> tuple[str, float]:
    label, value = _class_and_value("--wanted-recall", text, "CLASS=RECALL, as in defective=0.95")
    recall = _number("--wanted-recall", text, value)
    if not 0 < recall <= 1:
        raise typer.BadParameter(f"--wanted-recall {text}: a recall is above 0 and at most 1.")
    return label, recall


def _price(text: str) -> tuple[str, float, float]:
    form = "CLASS=MISSED:FALSE_ALARM, as in defective=50:1"
    label, value = _class_and_value("--costs", text, form)
    missed, colon, false_alarm = value.partition(":")
    if not colon:
        raise typer.BadParameter(f"--costs {text}: expected {form}.")
    prices = _number("--costs", text, missed), _number("--costs", text, false_alarm)
    if not all(0 < price < math.inf for price in prices):
        raise typer.BadParameter(f"--costs {text}: costs are positive numbers.")
    return label, *prices


def _class_and_value(option: str, text: str, form: str) -> tuple[str, str]:
    label, equals, value = text.rpartition("=")
    if not equals or not label.strip():
        raise typer.BadParameter(f"{option} {text}: expected {form}.")
    return label.strip(), value


def _number(option: str, text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise typer.BadParameter(f"{option} {text}: {value!r} is not a number.") from None
