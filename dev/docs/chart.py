"""docs/reference/chart.md: the values of the Helm chart, from the comments in values.yaml."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from dev.docs.markdown import page
from dev.docs.paths import TOP

HEAD = """\
A wrong or misspelled value is refused before anything is installed. How to install:
[Install the operator](../how-to/install.md). What the operator may do: [Security](../explanation/security.md)."""


def text() -> str:
    """The whole page."""
    chart = generator()
    values = chart.documented((TOP / "charts/podtask/values.yaml").read_text())
    return page("Chart values", "charts/podtask/values.yaml", HEAD, chart.table(values))


def generator() -> ModuleType:
    """charts/generate.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("chart_generate", TOP / "charts" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
