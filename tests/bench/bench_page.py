"""The page in front of flow runs of 100, 1,000 and 10,000 task runs: what a person waits for, in seconds.

    first look     of a session: the namespace is listed
    again          from the reflector that follows the namespace
    in Chromium    from the address until the page is drawn

The API server is that of the tests, in the same process. Run it alone: `python -m tests.bench.bench_page`
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.tables import show, spread
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import ROOT, Browser, World, opened, started
from tests.unit.sdk.ui.test_chromium import entered, visit

COUNTS = (100, 1000, 10_000)
TIMES = 7
PAGES = ("flow-runs", "flow-runs/wide-10k", "task-runs", "task-runs?state=Failed", "task-runs/wide-00003")


def main() -> None:
    """Print the table."""
    subprocess.run([ROOT / "dev" / "browser"], check=True, stdout=subprocess.DEVNULL)
    rows: list[tuple[object, ...]] = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as world:
            worlds.many(world.cluster, count)
            rows += measured(world, count, Path(folder))
    show("The page, seconds: median (least - most)", ("task runs", "page", "first look", "again", "in Chromium"), rows)


def measured(world: World, count: int, folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each page."""
    browser = world.browser()
    first = {PAGES[0]: f"{seconds(lambda: read(browser, PAGES[0])):.2f}"}
    driver = entered(world, started(folder / "profile"))
    try:
        for path in PAGES:
            again = [seconds(lambda path=path: read(browser, path)) for _ in range(TIMES)]
            drawn = [seconds(lambda path=path: visit(world, driver, path)) for _ in range(TIMES)]
            yield count, path, first.get(path, ""), spread(again), spread(drawn)
    finally:
        driver.quit()


def read(browser: Browser, path: str) -> None:
    """The whole answer."""
    assert browser.get(f"/namespaces/team/{path}").status == 200


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
