"""What can be said of the desk's front end without a browser; the rest is in tests/browser."""

import re
from pathlib import Path

import pytest

import al_tf.labeling

FRONT = Path(al_tf.labeling.__file__).parent / "desk"
SCRIPTS = [FRONT / "widget.js", FRONT / "page.js"]
STYLE = (FRONT / "widget.css").read_text()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_ever_put_in_as_markup(path):
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|srcdoc"
    sinks += r"|DOMParser|createContextualFragment|setHTML|setTimeout\(\s*[\"'`]|javascript:"
    assert not re.search(sinks, path.read_text())


@pytest.mark.parametrize("path", [*SCRIPTS, FRONT / "widget.css", FRONT / "page.html"], ids=str)
def test_nothing_is_loaded_from_elsewhere(path):
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", path.read_text())
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}


def tokens(theme):
    """Return the colours of a theme; the dark one overrides the light one."""
    light, dark = re.findall(r"\.altf(?:\[data-theme=\"dark\"\])? \{\n(  --.*?)\}", STYLE, re.S)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if theme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))
    return colours


def contrast(one, other):
    """Return the contrast ratio of WCAG 2.2."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


def test_the_dark_theme_has_every_colour_of_the_light_one():
    light, dark = tokens("light"), tokens("dark")
    assert len(light) >= 14
    assert all(dark[name] != light[name] for name in light)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        ("text", "back"), ("text", "panel"), ("text", "band"), ("soft", "back"), ("soft", "panel"),
        ("soft", "stage"), ("accent", "back"), ("on-accent", "accent"), ("good", "panel"),
        ("bad", "back"), ("bad", "panel"), ("bad", "bad-back"), ("text", "bad-back"),
    ],
)  # fmt: skip
def test_text_is_readable(theme, front, back):
    assert contrast(tokens(theme)[front], tokens(theme)[back]) >= 4.5  # WCAG AA, text


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        ("edge", "back"), ("edge", "panel"), ("focus", "back"), ("focus", "panel"),
        ("accent", "hair"), ("accent", "band"), ("accent", "panel"), ("good", "back"),
    ],
)  # fmt: skip
def test_edges_marks_and_focus_can_be_seen(theme, front, back):
    assert contrast(tokens(theme)[front], tokens(theme)[back]) >= 3  # WCAG AA, what is no text


def test_colours_are_tokens_alone():
    rules = STYLE[STYLE.index("box-sizing") :]
    assert not re.search(r"#[0-9a-f]{3,8}\b(?!\w)[;,\s)]|rgb|hsl", rules)
