"""What one command line works with: settings, the cluster, the bucket. Each is opened on first use.

Before: `options`. Next on the road: `selection`, then the command itself.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from podtask.cli.common.exits import CommandFailed
from podtask.core import clock
from podtask.support.terminal_text import visible

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from podtask.inspection.cluster import Cluster
    from podtask.kube.bucket_access import BucketAccess
    from podtask.settings import Settings


class Session:
    """One command line's view of the world."""

    def __init__(self, namespace: str | None, context: str | None = None, kubeconfig: str | None = None) -> None:
        self._chosen = namespace
        self._context = context
        self._kubeconfig = kubeconfig

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if "_cluster" in self.__dict__:
            self._cluster.api.close()

    @cached_property
    def settings(self) -> Settings:
        """Arguments, environment, pyproject.toml. Raises `SettingsError`."""
        from podtask import settings

        return settings.load(namespace=self._chosen)

    @property
    def cluster(self) -> Cluster:
        """The cluster. Raises `ClusterUnreachable`."""
        return self._cluster

    @cached_property
    def _cluster(self) -> Cluster:
        try:
            from podtask.inspection.cluster import Cluster
            from podtask.kube.client import connect

            api = connect(self._kubeconfig, self._context)
        except ModuleNotFoundError as missing:
            raise CommandFailed(f"The package '{missing.name}' is missing: pip install 'podtask[cli]'") from missing
        return Cluster(api, self.settings.namespace or api.namespace)

    @property
    def namespace(self) -> str:
        """Where names are looked for."""
        return self.cluster.namespace

    def bucket(self, namespace: str) -> BucketAccess:
        """The bucket, as that namespace's TaskRuns use it."""
        from podtask.core.api.names import CLIENT_CONFIG_MAP
        from podtask.kube.bucket_access import BucketAccess

        published = partial(self.cluster.api.config_map, name=CLIENT_CONFIG_MAP)
        return BucketAccess(namespace, published, self.settings.store, self.settings.s3_endpoint_url)

    def pause(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)

    def note(self, text: str) -> None:
        """Something beside the answer, for people."""
        note(text)

    def now(self) -> datetime:
        """The time of this machine."""
        return clock.now()

    def pass_on(self) -> None:
        """Let a flow of this process use the same cluster and namespace. Raises `CommandFailed`."""
        if self._context is not None:
            raise CommandFailed("A flow uses the current context: kubectl config use-context, or --kubeconfig.")
        given = {"PODTASK_NAMESPACE": self._chosen, "KUBECONFIG": self._kubeconfig}
        os.environ.update({name: value for name, value in given.items() if value is not None})

    @property
    def given_namespace(self) -> str | None:
        """What -n said."""
        return self._chosen

    @property
    def where(self) -> str:
        """Options that a suggested command needs to reach the same place: ` -n team --context prod`, or nothing."""
        return self._options({"-n": self._chosen}) + self.cluster_options

    @property
    def cluster_options(self) -> str:
        """The same without the namespace."""
        return self._options({"--context": self._context, "--kubeconfig": self._kubeconfig})

    @property
    def context_name(self) -> str:
        """The kube context in use, for people; the server's address where there is none."""
        return self._context or self.cluster.api.context or self.cluster.api.server

    @staticmethod
    def _options(flags: dict[str, str | None]) -> str:
        return "".join(f" {option} {shlex.quote(value)}" for option, value in flags.items() if value)


def note(text: str) -> None:
    """Something beside the answer, for people: on stderr; what others wrote in it commands no terminal."""
    sys.stderr.write(f"{visible(text)}\n")


def terminal() -> bool:
    """True where a person watches stdout and lines may be drawn over."""
    return sys.stdout.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
