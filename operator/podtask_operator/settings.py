"""What the operator is told by its environment, read once at the entry point.

The chart writes these variables; bucket credentials come from boto3's own chain and are no setting.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from podtask.core.api.limits import DISRUPTIONS_LIMIT, TIMEOUT_LIMIT
from podtask.core.api.names import PodCleanup
from podtask.core.gc import LEAST_SPARE
from podtask.core.lifecycle.concurrency import Limits
from podtask.core.storage.url import store_address

STORE: Final = "PODTASK_STORE"
S3_ENDPOINT_URL: Final = "PODTASK_S3_ENDPOINT_URL"
S3_REGION: Final = "PODTASK_S3_REGION"
CONDITIONAL_WRITES: Final = "PODTASK_STORE_CONDITIONAL_WRITES"
WATCH_NAMESPACES: Final = "PODTASK_WATCH_NAMESPACES"
RUNNER_IMAGES: Final = "PODTASK_RUNNER_IMAGES"
DEFAULT_PYTHON: Final = "PODTASK_DEFAULT_PYTHON"
IMAGE_PULL_POLICY: Final = "PODTASK_IMAGE_PULL_POLICY"
TASK_DEFAULTS: Final = "PODTASK_TASK_DEFAULTS"
GRANT_SECONDS: Final = "PODTASK_GRANT_SECONDS"
STORE_TIMEOUT_SECONDS: Final = "PODTASK_STORE_TIMEOUT_SECONDS"
CONCURRENCY: Final = "PODTASK_CONCURRENCY"
RESYNC_SECONDS: Final = "PODTASK_RESYNC_SECONDS"
HEALTH_PORT: Final = "PODTASK_HEALTH_PORT"
LIMITS: Final = "PODTASK_LIMITS"
LOST_NODE_FORCE_SECONDS: Final = "PODTASK_LOST_NODE_FORCE_SECONDS"
DRIVER_ACCOUNT: Final = "PODTASK_DRIVER_ACCOUNT"
LOG_FORMAT: Final = "PODTASK_LOG_FORMAT"
LOG_LEVEL: Final = "PODTASK_LOG_LEVEL"
LEASE_NAMESPACE: Final = "PODTASK_LEASE_NAMESPACE"
OPERATOR_NAMESPACE: Final = "PODTASK_OPERATOR_NAMESPACE"
IDENTITY: Final = "PODTASK_IDENTITY"
POD_UID: Final = "PODTASK_POD_UID"
DOORBELL_HOST: Final = "PODTASK_DOORBELL_HOST"
DOORBELL_PORT: Final = "PODTASK_DOORBELL_PORT"
TASK_OTLP_ENDPOINT: Final = "PODTASK_TASK_OTLP_ENDPOINT"
SWEEP_HOURS: Final = "PODTASK_SWEEP_HOURS"
SWEEP_SPARE_HOURS: Final = "PODTASK_SWEEP_SPARE_HOURS"


class SettingsError(Exception):
    """A setting is missing or cannot be read; the text names the variable and what it should be."""


def _unique() -> str:
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True)
class Settings:
    """Everything the operator may be told. Times in seconds."""

    store: str
    """`s3://bucket/prefix`."""
    endpoint_url: str | None = None
    """The S3 endpoint as pods see it: SigV4 signs the host. None: AWS."""
    region: str = "us-east-1"
    conditional_writes: bool = True
    """Whether the S3 server knows `If-None-Match`: `on` or `off`."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to serve; empty: all."""
    runner_images: Mapping[str, str] = field(default_factory=dict)
    """Python minor -> runner image."""
    default_python: str = "3.11"
    """The minor for runs that do not name one (the YAML door)."""
    image_pull_policy: str = "IfNotPresent"
    task_defaults: Mapping[str, Any] = field(default_factory=dict)
    """Pod defaults: resources, nodeSelector, tolerations, imagePullSecrets, priorityClassName, podCleanup."""
    limits: Limits = field(default_factory=Limits)
    """How many attempts may be under way at the same time."""
    lost_node_force_seconds: float | None = None
    """A pod that outlives its deletion for so long is removed by force; None: never."""
    driver_account: str = ""
    """Pods of TaskRuns under this service account get a token; empty: no pod ever does. See `drivers`."""
    grant_seconds: float = 86400.0
    """Life of the URLs in a grant; at most 7 days (SigV4)."""
    store_timeout_seconds: float = 600.0
    """How long a runner waits for the store before it gives up with StoreUnavailable."""
    concurrency: int = 32
    resync_seconds: float = 60.0
    health_port: int = 8080
    log_format: str = "json"
    log_level: str = "INFO"
    sweep_hours: float = 0.0
    """Hours between two sweeps of the bucket; 0: never."""
    sweep_spare_hours: float = 24.0
    """Younger objects are never swept; at least 13."""
    lease_namespace: str = "default"
    """Where the Lease is; the chart says its own namespace. Its name: `lease.name_of(namespaces)`."""
    operator_namespace: str | None = None
    """The operator's own, where the chart says it: TaskRuns there name nothing of it (`pods.operator_namespace`)."""
    identity: str = field(default_factory=_unique, compare=False)
    """Who holds the Lease. The chart says the pod's name: a container that is started again goes on at once."""
    doorbell_host: str = ""
    """The operator's own address as pods see it, for the datagrams of `events.doorbell`; empty: none are sent."""
    doorbell_port: int = 8081
    """The UDP port for them; 0: none."""
    task_otlp_endpoint: str = ""
    """Where pods send their spans, as `OTEL_EXPORTER_OTLP_ENDPOINT` of those that have no other; empty: not set."""
    pod_uid: str | None = None
    """UID of the pod `identity`, which then owns the Lease: uninstalling leaves none behind."""

    @property
    def doorbell(self) -> str | None:
        """`address:port` as the grants tell it to runners."""
        if not self.doorbell_host or not self.doorbell_port:
            return None
        host = f"[{self.doorbell_host}]" if ":" in self.doorbell_host else self.doorbell_host
        return f"{host}:{self.doorbell_port}"


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables. Raises `SettingsError`."""
    store = environment.get(STORE, "")
    if not store.startswith("s3://"):
        raise SettingsError(
            f"{STORE} must be s3://bucket/prefix, not {store!r}: set store.bucket in the chart's values"
        )
    try:
        store_address(store, environment.get(S3_ENDPOINT_URL))
    except ValueError as error:
        raise SettingsError(f"{error}: set store.bucket, prefix and endpoint in the chart's values") from None
    images = _json(environment, RUNNER_IMAGES)
    if not images:
        raise SettingsError(f"{RUNNER_IMAGES} is empty: set runner.images in the chart's values")
    namespaces = tuple(n.strip() for n in environment.get(WATCH_NAMESPACES, "").split(",") if n.strip())
    return Settings(
        store=store,
        endpoint_url=environment.get(S3_ENDPOINT_URL) or None,
        region=environment.get(S3_REGION) or Settings.region,
        conditional_writes=_switch(environment, CONDITIONAL_WRITES),
        namespaces=namespaces,
        runner_images=images,
        default_python=environment.get(DEFAULT_PYTHON) or max(images, key=_minor),
        image_pull_policy=environment.get(IMAGE_PULL_POLICY) or Settings.image_pull_policy,
        task_defaults=_task_defaults(environment),
        limits=_limits(environment),
        lost_node_force_seconds=_number(environment, LOST_NODE_FORCE_SECONDS, 0) or None,
        driver_account=environment.get(DRIVER_ACCOUNT, ""),
        grant_seconds=_number(environment, GRANT_SECONDS, Settings.grant_seconds),
        store_timeout_seconds=_number(environment, STORE_TIMEOUT_SECONDS, Settings.store_timeout_seconds),
        concurrency=int(_number(environment, CONCURRENCY, Settings.concurrency)),
        resync_seconds=_number(environment, RESYNC_SECONDS, Settings.resync_seconds),
        health_port=int(_number(environment, HEALTH_PORT, Settings.health_port)),
        log_format=environment.get(LOG_FORMAT) or Settings.log_format,
        log_level=environment.get(LOG_LEVEL) or Settings.log_level,
        sweep_hours=_number(environment, SWEEP_HOURS, Settings.sweep_hours),
        sweep_spare_hours=_spare_hours(environment),
        lease_namespace=environment.get(LEASE_NAMESPACE) or next(iter(sorted(namespaces)), Settings.lease_namespace),
        operator_namespace=environment.get(OPERATOR_NAMESPACE) or None,
        identity=environment.get(IDENTITY) or _unique(),
        pod_uid=environment.get(POD_UID) or None,
        doorbell_host=environment.get(DOORBELL_HOST, ""),
        task_otlp_endpoint=environment.get(TASK_OTLP_ENDPOINT, ""),
        doorbell_port=int(_number(environment, DOORBELL_PORT, Settings.doorbell_port)),
    )


def _switch(environment: Mapping[str, str], name: str) -> bool:
    """On unless it says off."""
    said = environment.get(name) or "on"
    if said not in ("on", "off"):
        raise SettingsError(f"{name} must be on or off, not {said!r}")
    return said == "on"


def _task_defaults(environment: Mapping[str, str]) -> dict[str, Any]:
    defaults = _json(environment, TASK_DEFAULTS)
    known = [str(cleanup) for cleanup in PodCleanup]
    if defaults.get("podCleanup") not in (None, "", *known):
        raise SettingsError(f"{TASK_DEFAULTS}: podCleanup must be one of {', '.join(known)}")
    for name, least, most in (
        ("maxDisruptions", 0, DISRUPTIONS_LIMIT),
        ("pendingTimeoutSeconds", 1, TIMEOUT_LIMIT),
    ):
        value = defaults.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        if value is not None and not (number and (isinstance(value, int) or name != "maxDisruptions")):
            raise SettingsError(f"{TASK_DEFAULTS}: {name} must be a number from {least} to {most}")
    return defaults


def _limits(environment: Mapping[str, str]) -> Limits:
    try:
        return Limits.read(_json(environment, LIMITS))
    except ValueError as error:
        raise SettingsError(f"{LIMITS}: {error}") from None


def _spare_hours(environment: Mapping[str, str]) -> float:
    hours = _number(environment, SWEEP_SPARE_HOURS, Settings.sweep_spare_hours)
    least = LEAST_SPARE.total_seconds() / 3600
    if not hours >= least:  # nor nan
        raise SettingsError(
            f"{SWEEP_SPARE_HOURS} must be at least {least:g}, not {hours:g}: for so long clients count on what they "
            f"uploaded, before any TaskRun names it. Raise sweep.spareHours in the chart's values"
        )
    return hours


def _minor(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split(".") if part.isdigit())


def _json(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        value = json.loads(environment.get(name) or "{}")
    except ValueError as error:
        raise SettingsError(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise SettingsError(f"{name} must be a JSON object")
    return value


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    try:
        return float(text) if text else default
    except ValueError:
        raise SettingsError(f"{name} must be a number, not {text!r}") from None
