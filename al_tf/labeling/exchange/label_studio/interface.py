"""Label Studio's labeling interface: written for some classes, read to find who asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from ....errors import LabelStudioError

FROM, TO, IMAGE_KEY = "choice", "image", "image"
"""Names in the interface that `labeling_interface` writes."""


@dataclass(frozen=True)
class Control:
    """The part of an interface in which annotators choose the class of an image."""

    name: str
    """Of the ``Choices``: ``from_name`` of a result."""
    image: str
    """Name of the ``Image`` that it belongs to: ``to_name`` of a result."""
    image_key: str
    """Key of a task's ``data`` that holds the address of the image."""
    classes: tuple[str, ...]
    """The choices, in order."""

    def result(self, label: str, probability: float | None = None) -> list[dict[str, Any]]:
        """Return the ``result`` of an annotation or prediction of one class."""
        part: dict[str, Any] = {
            "from_name": self.name, "to_name": self.image, "type": "choices",
            "value": {"choices": [label]},
        }  # fmt: skip
        return [part if probability is None else part | {"score": probability}]


def labeling_interface(classes: Sequence[str]) -> str:
    """Return Label Studio's interface for one choice among the classes, as XML.

    Examples
    --------
    >>> from al_tf.labeling.exchange.label_studio import labeling_interface
    >>> print(labeling_interface(["good", "defective"]), end="")
    <View>
      <Image name="image" value="$image"/>
      <Choices name="choice" toName="image" choice="single" showInLine="true">
        <Choice value="good"/>
        <Choice value="defective"/>
      </Choices>
    </View>
    """
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in classes)
    return (
        f'<View>\n  <Image name="{TO}" value="${IMAGE_KEY}"/>\n'
        f'  <Choices name="{FROM}" toName="{TO}" choice="single" showInLine="true">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )


def default_control(classes: Sequence[str]) -> Control:
    """Return the control of `labeling_interface`."""
    return Control(FROM, TO, IMAGE_KEY, tuple(classes))


def read_interface(xml: str, classes: Sequence[str] = ()) -> Control:
    """Return the control of a labeling interface that asks for the classes.

    Parameters
    ----------
    xml : str
        The labeling configuration of a project.
    classes : sequence of str
        Of the ledger; if empty, the interface decides what the classes are.

    Returns
    -------
    Control

    Raises
    ------
    LabelStudioError
        Not XML; or no single choice about an image has exactly these classes, or several do. The
        message says what is in the interface and what would fit.
    """
    fitting, others = [], []
    for control, why in _controls(_parse(xml)):
        if why is None and classes and set(control.classes) != set(classes):
            why = f"has the choices {list(control.classes)}"
        if why is None and len(control.classes) < 2:
            why = "has fewer than two choices"
        if why is None:
            fitting.append(control)
        else:
            others.append(f"{control.name!r} {why}")
    if len(fitting) == 1:
        return fitting[0]
    wanted = f"the choices {list(classes)}" if classes else "two choices or more"
    if fitting:
        names = ", ".join(repr(control.name) for control in fitting)
        raise LabelStudioError(
            f"The labeling interface has several controls with {wanted}: {names}. Which of them "
            "is meant cannot be decided; keep one of them, or give the others other choices."
        )
    what = "; ".join(others) if others else "it has no Choices"
    raise LabelStudioError(
        "The labeling interface has no control that fits. Expected one <Choices "
        f'choice="single"> about an <Image>, with {wanted}; {what}.'
    )


def _parse(xml: str) -> ElementTree.Element:
    if "<!" in xml.replace("<!--", ""):
        raise LabelStudioError("The labeling interface declares a document type or entities.")
    try:
        return ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise LabelStudioError(f"The labeling interface is not XML: {error}.") from error


def _controls(root: ElementTree.Element) -> Iterator[tuple[Control, str | None]]:
    """Yield every ``Choices`` and why it cannot be the class of an image, or None."""
    images = {
        image.get("name", ""): image.get("value", "").lstrip("$") for image in root.iter("Image")
    }
    for tag in root.iter("Choices"):
        to = tag.get("toName", "")
        choices = [c.get("alias") or c.get("value") or "" for c in tag.iter("Choice")]
        control = Control(tag.get("name", ""), to, images.get(to, ""), tuple(choices))
        why = None
        if to not in images:
            why = f"is about {to!r}, which is no Image"
        elif tag.get("choice", "single") not in ("single", "single-radio"):
            why = f"takes several choices (choice={tag.get('choice')!r})"
        elif tag.get("perRegion", "false").lower() == "true":
            why = "is about regions, not the whole image"
        elif tag.get("value"):
            why = "takes its choices from each task"
        elif any(len(list(choice)) for choice in tag.iter("Choice")):
            why = "has choices within choices"
        elif len(set(choices)) < len(choices):
            why = "has a choice twice"
        yield control, why
