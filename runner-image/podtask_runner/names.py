"""Every name the runner shares with whoever starts it, spelled once.

Above: `podtask.core.api.names` (labels, reasons, object keys). Beside: `podtask_runner.protocol` (the formats).
"""

from __future__ import annotations

import sys
from typing import Final

WIRE_VERSION: Final = 3
"""The newest version of the grants that is read here. 2: `code.bundle` and `code.overlay`; 3: `upstream.failure`."""

# Where an attempt finds its grants, and what it may be told besides (environment of the supervisor).
ENV_GRANTS: Final = "PODTASK_GRANTS"
ENV_TERMINATION_LOG: Final = "PODTASK_TERMINATION_LOG"
ENV_STDERR_MARK: Final = "PODTASK_STDERR_MARK"
"""What stands before and after standard error in the one stream, for a reader that tells the two apart again."""
ENV_CLAIM: Final = "PODTASK_CLAIM"
"""Of a pod that waits for an attempt: the file with the claim (`podtask_runner.process.idle`)."""
ENV_POD_UID: Final = "PODTASK_POD_UID"
ENV_IDLE_SECONDS: Final = "PODTASK_IDLE_SECONDS"
"""How long a pod waits for an attempt before it ends itself."""
ENV_PRELOAD: Final = "PODTASK_PRELOAD"
"""Modules that a waiting pod imports before its attempt comes, with commas between them."""
ENV_DOORBELL: Final = "PODTASK_DOORBELL"
"""`address:port` for what such a pod has to say of them; an attempt's own is in its grants."""
WAIT: Final = "--wait"
"""Argument of a runner whose attempt comes later."""
ENV_RUN_NAME: Final = "PODTASK_TASK_RUN"
ENV_ATTEMPT: Final = "PODTASK_ATTEMPT"

GRANTS_DIR: Final = "/podtask/grants"
GRANTS_FILE: Final = "grants.json"
CLAIM_DIR: Final = "/podtask/claim"
CLAIM_FILE: Final = "claim"
TERMINATION_LOG: Final = "/dev/termination-log"
TERMINATION_LIMIT: Final = 4096
"""Bytes the kubelet keeps of one container's termination message (Kubernetes, container lifecycle)."""

INLINE_LIMIT: Final = 64 * 1024
"""Bytes of code or of inputs that may travel inside a TaskRun."""
FILE_LIMIT: Final = 5 * 1024**3
"""Bytes of one PUT (Amazon S3 user guide, Uploading objects)."""
VALUE_LIMIT: Final = 2 * 1024
"""Bytes of a result or an exception that come back inside the status."""

# How a payload is written. JSON stands alone so that any language reads it; a pickle starts with a header line.
JSON: Final = "json"
CLOUDPICKLE: Final = "cloudpickle"
FILE: Final = "file"
"""Raw bytes of a `podtask.File`."""
FILE_REFERENCE: Final = "file:"
"""How a file stands in pickled arguments: `file:<sha256>:<name>`. No TaskRun has such a name."""

SOURCE_MODULE: Final = "podtask_source"
"""Name of the module that `task.source` is run in."""
SOURCE_FILE: Final = "<task.source>"
"""Its file name in tracebacks."""
OUT_OF_MEMORY: Final = "OutOfMemory"
"""`error.type` of a Crashed attempt whose child the kernel killed for memory."""

PYTHON: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"
"""The minor version of this interpreter: functions are pickled for one of them."""

NPY: Final = "npy"
PARQUET: Final = "parquet"
"""Formats of arrays and tables."""
