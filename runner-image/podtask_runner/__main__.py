"""`python -X utf8 -m podtask_runner`: execute the attempt whose grants file the environment names.

With `--wait` the attempt comes later (`podtask_runner.process.idle`). Exit code 0 means that a Completed outcome was
delivered; the others are in `podtask_runner.process.supervisor.EXIT_CODES`.
"""

import os
import sys

# `-m` puts the working directory first, where a file of the user's named like a standard module would be found by
# the supervisor; the child puts it back for the user's own imports.
if sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109 - before anything is imported
    del sys.path[0]

from podtask_runner.names import WAIT

if __name__ == "__main__":
    if sys.argv[1:] == [WAIT]:
        from podtask_runner.process.warm import wait as main
    else:
        from podtask_runner.process.supervisor import main
    sys.exit(main())
