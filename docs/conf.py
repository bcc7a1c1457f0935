"""Sphinx settings of the site; `nox -s docs` builds it."""

import inspect
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("KERAS_BACKEND", "jax")

import reference
from docutils import nodes

import torusae

project = "torusae"
author = "The torusae developers"
version = release = torusae.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
smartquotes = False

html_theme = "furo"
html_title = "torusae"
html_static_path = ["style"]
html_css_files = ["torusae.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
exclude_patterns = ["results/*"]  # tables that results.md includes

# Headings have the anchors that the same files have on GitHub.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # seconds a cell, on a busy machine
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "remove-warn"  # what a cell writes there is a warning, so the build fails
nb_mime_priority_overrides = [("html", "image/png", 0)]

# Docstrings are in Google's style, with `code` in single backticks.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autosummary_generate = False


# How Keras saves and trains an object: nothing that a user calls.
KERAS_PROTOCOL = {"compute_output_shape", "from_config", "get_compile_config", "compile_from_config"}
KERAS_PROTOCOL |= {"save_own_variables", "load_own_variables", "train_step", "test_step"}


def skip_repeated(app, kind, name, obj, skip, options):
    """Leaves out members that only a base documents: one of the library has its own entry, others their own site."""
    if name in KERAS_PROTOCOL:
        return True
    function = inspect.unwrap(getattr(obj, "__func__", getattr(obj, "fget", None) or obj))
    if not inspect.isfunction(function):
        return None
    return None if function.__doc__ and function.__module__.startswith("torusae.") else True


def own_signature(app, kind, name, obj, options, signature, returns):
    """The arguments of a class whose base takes `*args, **kwargs` when it makes an object, as Keras does."""
    if kind != "class" or signature is None:
        return None
    own = inspect.signature(obj.__init__)
    parameters = [value.replace(annotation=inspect.Parameter.empty) for value in list(own.parameters.values())[1:]]
    return str(inspect.Signature(parameters)), None


def write_explorer(app, error):
    """The page that the first page of the site shows."""
    if error is None and app.builder.name == "html":
        digits = torusae.datasets.load_mnist_subset()
        model = torusae.datasets.load_model("mnist")
        path = Path(app.outdir, "explorer.html")
        torusae.explore(model, path, digits.x_test, digits.y_test, "Digits on a torus of three circles", overwrite=True)


def describe_figures(app, doctree):
    """A sentence as the alternative text of each figure that a cell draws: else it is a file name of a hash."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            parent = image.parent
            while parent is not None and not isinstance(parent, nodes.section):
                parent = parent.parent
            title = parent[0].astext() if parent is not None else project
            image["alt"] = f"Figure that the code above draws, in the section: {title}"


def setup(app):
    """Writes the pages of the reference before Sphinx reads the folder, and the explorer when the site is there."""
    app.connect("build-finished", write_explorer)
    app.connect("builder-inited", lambda app: reference.write(HERE / "api"))
    app.connect("doctree-read", describe_figures)
    app.connect("autodoc-skip-member", skip_repeated)
    app.connect("autodoc-process-signature", own_signature)
