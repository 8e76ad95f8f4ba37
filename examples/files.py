"""Files from task to task: streamed through the bucket, never loaded, and counted by their content in cache keys.

The driver sees none of the bytes: a task makes the file, another one packs it, a third one reads it.

python examples/files.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/files.py      a pod per task
"""

import csv
import gzip
import shutil
import tempfile
from pathlib import Path

from podtask import File, flow, ref, task


@task
def export(rows: int) -> File:
    path = Path(tempfile.mkdtemp()) / "sales.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows((f"shop-{n % 3}", n) for n in range(rows))
    return File(path)


@task
def pack(source: File) -> File:
    path = Path(tempfile.mkdtemp()) / f"{source.name}.gz"
    with source.open() as given, gzip.open(path, "wb") as packed:
        shutil.copyfileobj(given, packed)
    return File(path)


@task
def per_shop(packed: File) -> dict[str, int]:
    sums: dict[str, int] = {}
    with gzip.open(packed, "rt") as lines:
        for shop, amount in csv.reader(lines):
            sums[shop] = sums.get(shop, 0) + int(amount)
    return sums


@flow
def sales(rows: int = 10_000) -> dict[str, int]:
    return per_shop(ref(pack(ref(export(rows))))).result()


if __name__ == "__main__":
    print(sales())
