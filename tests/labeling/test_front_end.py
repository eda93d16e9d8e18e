"""The desk's front end as far as it needs no browser; the rest is in tests/browser."""

import re
import shutil
import subprocess

import pytest

from al_tf.labeling.desk import front_end
from al_tf.labeling.ledger import COLORS

SCRIPTS = sorted(front_end.FOLDER.glob("*.js"))
STYLE = front_end.notebook_style()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_ever_put_in_as_markup(path):
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|srcdoc"
    sinks += r"|DOMParser|createContextualFragment|setHTML|setTimeout\(\s*[\"'`]|javascript:"
    assert not re.search(sinks, path.read_text())


@pytest.mark.parametrize("path", sorted(front_end.FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", path.read_text())
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}


def top_level_names(source):
    return re.findall(r"^(?:export )?(?:async )?(?:function|const|class) (\w+)", source, re.M)


def test_the_notebook_gets_every_module_as_one():
    shared = [path for path in SCRIPTS if path.name != "page.js"]  # which is the page's alone
    names = [name for path in shared for name in top_level_names(path.read_text())]
    module = front_end.notebook_module()
    assert sorted(top_level_names(module)) == sorted(names)
    assert len(set(names)) == len(names)
    assert not re.search(r"^import ", module, re.M)
    assert re.findall(r"^export .*", module, re.M) == ["export default {"]


def test_modules_import_only_those_before_them_and_only_what_they_export():
    sources = {path.name: path.read_text() for path in SCRIPTS}
    order = [*front_end.SHARED_MODULES, "notebook.js", "page.js"]
    assert set(order) == set(sources)
    for name, source in sources.items():
        for wanted, other in re.findall(r'^import \{ (.*?) \} from "\./(.*?)";', source, re.M):
            assert order.index(other) < order.index(name)
            exported = re.findall(r"^export (?:function|const|class) (\w+)", sources[other], re.M)
            assert set(wanted.split(", ")) <= set(exported)
        assert source.count("import ") == len(re.findall(r'^import \{ .* \} from "', source, re.M))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_notebook_s_module_is_valid():
    command = ["node", "--check", "--input-type=module"]
    module = front_end.notebook_module()
    done = subprocess.run(command, input=module, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_loads_every_style_sheet_in_order():
    page = (front_end.FOLDER / "page.html").read_text()
    assert tuple(re.findall(r'rel="stylesheet" href="(.*?)"', page)) == front_end.STYLES
    assert {path.name for path in front_end.FOLDER.glob("*.css")} == set(front_end.STYLES)


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
        *((f"class-{color}", back) for color in COLORS for back in ("back", "panel")),
    ],
)  # fmt: skip
def test_edges_marks_and_focus_can_be_seen(theme, front, back):
    assert contrast(tokens(theme)[front], tokens(theme)[back]) >= 3  # WCAG AA, what is no text


def test_colours_are_tokens_alone():
    rules = STYLE[STYLE.index("box-sizing") :]
    assert not re.search(r"#[0-9a-f]{3,8}\b(?!\w)[;,\s)]|rgb|hsl", rules)
