"""What podtask's own runner images can import, beside the standard library: spelled once for chart and SDK. Pure.

The chart publishes it (`runner.modules`) in the ConfigMap `podtask-client`; `podtask.backends.kubernetes.module_check`
reads it. A test compares it with the locked requirements of the image.
"""

from __future__ import annotations

from typing import Final

MODULES: Final = (
    "annotated_types",
    "cloudpickle",
    "podtask",
    "podtask_operator",
    "podtask_runner",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
)
PUBLISHED: Final = "modules"
"""Key of the ConfigMap: names with commas between them. Absent or empty: nobody said."""
