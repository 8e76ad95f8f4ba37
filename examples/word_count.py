"""Map and reduce: count the words of every chapter side by side, then add the counts up in pairs.

The counts travel from run to run; the driver reads only the last one.

python examples/word_count.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/word_count.py      a pod per chapter and per sum
"""

import re
from collections import Counter

from podtask import TaskFuture, flow, ref, task

CHAPTERS = [
    "It was the best of times, it was the worst of times,",
    "it was the age of wisdom, it was the age of foolishness,",
    "it was the epoch of belief, it was the epoch of incredulity,",
    "it was the season of Light, it was the season of Darkness.",
]


@task
def count(text: str) -> Counter[str]:
    return Counter(re.findall(r"[a-z]+", text.lower()))


@task
def add(one: Counter[str], other: Counter[str]) -> Counter[str]:
    return one + other


@flow
def word_count(chapters: list[str] = CHAPTERS) -> list[tuple[str, int]]:
    counts: list[TaskFuture[Counter[str]]] = count.map(chapters)
    while len(counts) > 1:
        pairs = [add(ref(one), ref(other)) for one, other in zip(counts[::2], counts[1::2], strict=False)]
        counts = pairs + counts[len(pairs) * 2 :]
    return counts[0].result().most_common(3)


if __name__ == "__main__":
    print(word_count())
