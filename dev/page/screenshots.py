"""Takes the pictures of the page that the documentation shows: `make screenshots`. The world is that of the tests.

The page is the real one, in front of the API server of the tests, in Debian's Chromium.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import ROOT, look, opened, started
from tests.unit.sdk.ui.test_chromium import entered, visit

FOLDER = ROOT / "docs" / "assets"
WIDTH = 1280
SHOTS = (
    # file, path, dark, height
    ("ui-flow-run.png", "flow-runs/etl-1f3a52b7", False, 980),
    ("ui-task-run.png", "task-runs/load", True, 940),
)
LOG = b"".join(b"\x1b[32mINFO\x1b[0m  rows %d to %d\n" % (n * 1000, n * 1000 + 999) for n in range(30, 48))
FAILED = b"\x1b[31mERROR\x1b[0m row 48112: column 'price' has no numbers\n"


def main() -> None:
    """Write all of them."""
    subprocess.run([ROOT / "dev" / "browser"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as world:
        worlds.day(world.cluster)
        for attempt in (1, 2, 3):
            world.store.put(f"{world.keys('uid-load', attempt).log}000001", LOG + FAILED)
        driver = started(Path(folder) / "profile")
        try:
            entered(world, driver)
            for name, path, dark, height in SHOTS:
                look(driver, WIDTH, dark=dark, height=height)
                visit(world, driver, path)
                driver.save_screenshot(str(FOLDER / name))
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
