"""docs/reference/taskrun.md, flowrun.md and warmpool.md: every field, from the CRDs that the models make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dev.docs.docstrings import first_sentence
from dev.docs.markdown import code, page, sentence, table

from podtask.core.api.flow_run import MUTABLE as FLOW_RUN_MUTABLE
from podtask.core.api.names import (
    API_VERSION,
    FLOW_RUN_KIND,
    FLOW_RUN_SHORT_NAME,
    KIND,
    SHORT_NAME,
    WARM_POOL_KIND,
    WARM_POOL_SHORT_NAME,
)
from podtask.core.api.spec import MUTABLE
from podtask.core.api.warm_pool import MUTABLE as WARM_POOL_MUTABLE
from podtask.core.crd import crd
from podtask.core.crd_flow_run import flow_run_crd
from podtask.core.crd_warm_pool import warm_pool_crd
from podtask_operator.pod_template import template
from podtask_operator.pods import validate

Schema = dict[str, Any]

MANY_WORDS = 8

HEAD = f"""\
`apiVersion: {API_VERSION}`, `kind: {KIND}`, short name `{SHORT_NAME}`. Write `{SHORT_NAME}` or `taskruns.podtask.dev`:
Tekton has a plural `taskruns`, too. The same text comes from the cluster: `kubectl explain {SHORT_NAME}.spec`.

The spec never changes but for {", ".join(f"`{name}`" for name in MUTABLE[:-1])} and `{MUTABLE[-1]}`. For other values,
create a TaskRun under another name. Only the operator writes the status."""


FLOW_RUN_HEAD = f"""\
`apiVersion: {API_VERSION}`, `kind: {FLOW_RUN_KIND}`, short name `{FLOW_RUN_SHORT_NAME}`. The driver of a flow
writes it: what was called with which parameters, and how it went. The same text comes from the cluster:
`kubectl explain {FLOW_RUN_SHORT_NAME}.spec`. How it is used: [flow runs](../how-to/flow-runs.md).

The spec never changes but for {" and ".join(f"`{name}`" for name in FLOW_RUN_MUTABLE)}. The driver writes the
status. The operator writes the conditions DriverLost and Settled. Whoever may write FlowRuns may write anything into
them, so nothing is decided about a TaskRun by a FlowRun but `spec.cancel` and whether the FlowRun is there."""


WARM_POOL_HEAD = f"""\
`apiVersion: {API_VERSION}`, `kind: {WARM_POOL_KIND}`, short name `{WARM_POOL_SHORT_NAME}`. The operator keeps
`size` idle pods, each of which serves one attempt of a TaskRun that fits. The same text comes from the cluster:
`kubectl explain {WARM_POOL_SHORT_NAME}.spec`. How it is used: [warm pools](../how-to/warm-pools.md).

The spec never changes but for {" and ".join(f"`{name}`" for name in WARM_POOL_MUTABLE)}. Only the operator writes
the status."""


def flow_run() -> str:
    """docs/reference/flowrun.md."""
    return _page("FlowRun", "podtask/core/api/flow_run.py", FLOW_RUN_HEAD, flow_run_crd())


def warm_pool() -> str:
    """docs/reference/warmpool.md."""
    return _page("WarmPool", "podtask/core/api/warm_pool.py", WARM_POOL_HEAD, warm_pool_crd())


def _page(title: str, source: str, head: str, definition: Schema) -> str:
    version = definition["spec"]["versions"][0]
    root = version["schema"]["openAPIV3Schema"]
    return page(
        title,
        source,
        head,
        "## spec\n\n" + _fields(root["properties"]["spec"]),
        *_nested("spec", root["properties"]["spec"]),
        "## status\n\n" + _fields(root["properties"]["status"]),
        *_nested("status", root["properties"]["status"]),
        _columns(version["additionalPrinterColumns"]),
    )


def text() -> str:
    """The whole page."""
    version = crd()["spec"]["versions"][0]
    root = version["schema"]["openAPIV3Schema"]
    return page(
        "TaskRun",
        "podtask/core/models.py and podtask/core/status.py",
        HEAD,
        "## spec\n\n" + _fields(root["properties"]["spec"]),
        *_nested("spec", root["properties"]["spec"]),
        _template(),
        "## status\n\n" + _fields(root["properties"]["status"]),
        *_nested("status", root["properties"]["status"]),
        PARAMETERS,
        _refusals(root),
        _columns(version["additionalPrinterColumns"]),
    )


def _fields(schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        (
            code(name) + (" **required**" if name in required else ""),
            _kind(child),
            _bounds(child),
            sentence(child.get("description", "")),
        )
        for name, child in schema["properties"].items()
    ]
    return table(("Field", "Type", "Default and bounds", "Meaning"), rows)


def _nested(path: str, schema: Schema) -> Iterator[str]:
    for name, child in schema["properties"].items():
        inner = child.get("items", child)
        if "properties" in inner:
            here = f"{path}.{name}" + ("[]" if "items" in child else "")
            about = sentence(inner.get("description", child.get("description", "")))
            yield f"### {here}\n\n{about}\n\n{_fields(inner)}"
            yield from _nested(here, inner)


def _kind(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    if (schema.get("additionalProperties") or {}).get("x-kubernetes-preserve-unknown-fields"):
        return "object"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_kind(schema['additionalProperties'])}"
    return "date and time" if schema.get("format") == "date-time" else str(schema["type"])


def _bounds(schema: Schema) -> str:
    said = []
    if "default" in schema:
        default = schema["default"]
        said.append(f"default `{str(default).lower() if isinstance(default, bool) else default}`")
    if "enum" in schema:
        words = schema["enum"]
        long = len(words) > MANY_WORDS
        said.append("see [States, reasons and Events](states.md)" if long else "one of " + ", ".join(map(code, words)))
    if "minimum" in schema:
        said.append(("more than " if schema.get("exclusiveMinimum") else "at least ") + f"{schema['minimum']:g}")
    if "maximum" in schema:
        said.append(f"at most {schema['maximum']:,.10g}")
    for key, unit in (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries")):
        if key in schema:
            said.append(f"at most {schema[key]:,} {unit}")
    if "pattern" in schema:
        said.append(f"matches `{schema['pattern']}`")
    return "; ".join(said)


def _template() -> str:
    rows = [(f"`{name}`", _where(name)) for name in template.FIELDS]
    return (
        "### spec.podTemplate fields\n\nOnly these. Anything else ends the run as InvalidSpec, with a sentence that "
        "names the field. Pods pass Pod Security `restricted` whatever is written here.\n\n"
        + table(("Field", "Goes to"), rows)
    )


def _where(name: str) -> str:
    if name in template.POD_FIELDS or name == "terminationGracePeriodSeconds":
        return "The pod's `spec`, as it is."
    return {
        "labels": "Labels of the pod. Those of podtask.dev stay podtask's.",
        "annotations": "Annotations of the pod.",
        "securityContext": "The pod's `securityContext`: fsGroup, runAsUser, runAsGroup, supplementalGroups.",
        "volumes": "The pod's volumes, of the types that `restricted` allows.",
        "volumeMounts": "Mounts of the container; not below /podtask, /tmp, /proc, /sys and /dev (but /dev/shm).",
        "envFrom": "Sources of variables of the task's container.",
    }[name]


PARAMETERS = """## What becomes of parameters

Kubernetes keeps parameters as JSON, and YAML knows more values than JSON does.

| In the file | What the task gets | Cure |
|---|---|---|
| `null`, by `kubectl apply` | nothing: kubectl leaves it out, and the parameter's default counts | `kubectl create` \
and `podtask submit` keep null; `podtask doctor` names TaskRuns that lack one |
| `1.0`, `1e3` | the integers 1 and 1000: a number without a fraction is an integer | `float(x)` in the task |
| integers of more than 64 bits | a float of another value; `podtask submit` and `run -f --local` refuse them | write \
text (in quotes), and `int(x)` in the task |
| `.nan`, `.inf` | refused: JSON has no such numbers | write text (in quotes), and `float(x)` in the task |
| dates and times of day | text |  |

`podtask run -f FILE --local` gives the task what a cluster would give it."""


def _refusals(root: Schema) -> str:
    said = [rule["message"] for rule in _rules(root) if not rule["message"].endswith("another name instead")]
    checks = "\n".join(f"- {first_sentence(check)}" for check in validate.CHECKS)
    return (
        "## What is refused\n\nBy the API server, at once (`kubectl apply` prints the sentence):\n\n"
        + "\n".join(f"- {sentence(text)}" for text in dict.fromkeys(said))
        + "\n- A change of a field of the spec that does not change (see above).\n\n"
        + "By the operator, before any pod. The run ends Failed, reason InvalidSpec; `status.message` says what is "
        + f"wrong and `status.error.cure` what to do. It looks at this:\n\n{checks}"
    )


def _rules(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("x-kubernetes-validations", ())
    for child in schema.get("properties", {}).values():
        yield from _rules(child)
    if "items" in schema:
        yield from _rules(schema["items"])


def _columns(columns: list[Schema]) -> str:
    rows = [
        (f"`{c['name'].upper()}`", "only with `-o wide`" if c.get("priority") else "", c.get("description", "Age."))
        for c in columns
    ]
    return f"## Columns of kubectl get\n\n{table(('Column', '', 'Shows'), rows)}"
