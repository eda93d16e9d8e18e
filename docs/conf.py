"""Sphinx reads this: `make docs` builds the site with every warning an error."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from generate.links import source_of as linkcode_resolve  # noqa: F401  # Sphinx looks for this name
from generate.pages import REPOSITORY

import al_tf

project = "al_tf"
author = "the al_tf maintainers"
project_copyright = f"{author}. MIT License"
version = release = al_tf.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.linkcode",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "generate",
]
exclude_patterns = ["generate", "**/_*"]
default_role = "py:obj"
nitpicky = False

# Docstrings
autodoc_typehints = "none"  # numpydoc's Parameters say the types, shapes and ranges
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__init__, __new__, __weakref__"}
autosummary_generate = False
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
numpydoc_xref_param_type = False

# Markdown and notebooks, which are shown as they were executed
myst_enable_extensions = [
    "colon_fence",
    "deflist",
    "dollarmath",
    "attrs_inline",
    "fieldlist",
    "substitution",
]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is loaded from another site
nb_render_image_options = {"alt": "Output of the cell above"}
html_math_renderer = "mathml"
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

# The look
html_theme = "pydata_sphinx_theme"
html_title = "al_tf"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_baseurl = "https://{}.github.io/{}/".format(*REPOSITORY.rsplit("/", 2)[1:])
html_theme_options = {
    "logo": {"text": "al_tf"},
    "icon_links": [
        {"name": "GitHub", "url": REPOSITORY, "icon": "fa-brands fa-github", "type": "fontawesome"}
    ],
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is set
html_sidebars = {"index": [], "install": [], "changelog": []}
