"""Whatever happens between the halves of a garbage collection, and in whatever order, nothing goes that is needed.

First the interleavings that were found by thinking, then a state machine that looks for others: drivers, an operator
that reads a name before it writes it down, people who delete and repeat, and a collection that takes its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.bucket_scene import BUCKET, NOW, OLD, YOUNG, Object, Scene, digest, run, uid

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Producer
from podtask.core.gc import LEAST_SPARE, SETTLE, NamespaceObjects, Removal, keep_note, remove, survey
from podtask.core.storage.marks import Marks, mark
from podtask.kube.bucket_access import FRESH_SECONDS

SOURCE, REFRESHED, HIT = 1, 2, 3


def cached(number: int, source: int) -> Object:
    """A run whose result is that of another one."""
    return run(number, {"state": "Cached", "result": {"digest": digest("x"), "sourceUID": uid(source)}})


def replaced_pointer() -> tuple[Scene, list[NamespaceObjects], set[str]]:
    """The runs were listed; then one hit an entry, and a refresh replaced the entry; then the bucket was listed."""
    scene = Scene()
    needed = scene.attempt(SOURCE)
    scene.entry("k", SOURCE)
    marks = mark([])  # the source's TaskRun is gone by its TTL, the run that hits is not there yet
    scene.attempt(REFRESHED, age=YOUNG)
    scene.entry("k", REFRESHED, age=YOUNG)
    return scene, list(survey(scene.store, BUCKET.prefix, None, marks, NOW)), needed


def test_the_source_of_a_hit_stays_although_its_entry_was_replaced_before_the_bucket_was_listed() -> None:
    scene, parts, needed = replaced_pointer()
    assert [candidate.name for part in parts for candidate in part.candidates] == [uid(SOURCE)]
    assert scene.removed(parts, cached(HIT, SOURCE), run(REFRESHED)) == set()
    assert needed <= scene.held()


def test_without_such_a_run_the_source_goes_in_the_same_pass() -> None:
    scene, parts, needless = replaced_pointer()
    assert scene.removed(parts, run(REFRESHED)) == needless


def test_code_that_a_retry_of_a_deleted_run_names_stays() -> None:
    scene = Scene()
    code = scene.put(BUCKET.blob(digest("code")))
    spec = {"task": {"code": {"digest": digest("code")}}}
    parts = scene.parts()  # the TaskRun that was read for the retry is gone, the new one is not there yet
    assert len(parts[0].candidates) == 1
    assert scene.removed(parts, run(7, spec=spec)) == set()
    assert code in scene.held()


def test_a_pointer_that_was_written_after_the_survey_keeps_its_producer() -> None:
    scene = Scene()
    needed = scene.attempt(SOURCE)  # stored days ago, while no operator was there to see it
    parts = scene.parts()
    assert len(parts[0].candidates) == 1
    needed.add(scene.entry("k", SOURCE, age=timedelta()))
    assert scene.removed(parts) == set()
    assert scene.held() == needed


def test_a_note_and_an_attempt_that_came_after_the_survey_keep_the_run() -> None:
    for after in (lambda s: s.put(BUCKET.keep(uid(1)), keep_note(NOW + OLD)), lambda s: s.attempt(1, 2, YOUNG)):
        scene = Scene()
        scene.attempt(1)
        parts = scene.parts()
        after(scene)
        before = scene.held()
        assert scene.removed(parts) == set()
        assert scene.held() == before


def test_an_entry_that_was_prolonged_after_the_survey_stays_with_its_producer() -> None:
    scene = Scene()
    scene.attempt(1)
    scene.entry("k", 1, expires=-OLD)
    parts = scene.parts()
    assert len(parts[0].candidates) == 2
    kept = {scene.entry("k", 2, age=timedelta())} | scene.attempt(2, age=timedelta())
    assert scene.removed(parts) == {key for key in BUCKET_KEYS_OF_1 if key.startswith(BUCKET.run(uid(1)))}
    assert scene.held() == kept


_KEYS = BUCKET.attempt(uid(1), 1)
BUCKET_KEYS_OF_1 = {_KEYS.result, _KEYS.outcome, _KEYS.log + "000001", _KEYS.log_tail}


# --- any order --------------------------------------------------------------------------------------------------------

KEY, CODE = "k", digest("code")
EXPIRES = st.sampled_from([None, 3600.0, 200_000.0])
STEPS = st.sampled_from([timedelta(minutes=4), timedelta(hours=11), timedelta(hours=14), OLD])


@dataclass
class Flying:
    """A name that was read and is not written down yet."""

    since: timedelta
    run: int | None
    """Whose status it comes into; None: a new TaskRun names the code."""
    source: int | None = None
    """The producer of the entry that was hit."""


@dataclass
class Pass:
    """A garbage collection under way."""

    began: timedelta
    marks: Marks
    parts: list[NamespaceObjects] = field(default_factory=list)
    surveyed: timedelta | None = None
    removing: Iterator[Removal] | None = None


class World(RuleBasedStateMachine):
    """One cache key, one piece of code. Time is counted from `NOW` on; the bucket's clock is the world's."""

    def __init__(self) -> None:
        super().__init__()
        self.time = timedelta()
        self.scene = Scene()
        self.runs: dict[int, Object] = {}
        self.stored: set[int] = set()
        """Runs whose result is in the bucket."""
        self.uploaded: timedelta | None = None
        """Since when the code is there that the driver counts on."""
        self.flying: list[Flying] = []
        self.collection: Pass | None = None
        self.count = 0

    @initialize(code=st.booleans(), entry=st.booleans())
    def days_ago(self, code: bool, entry: bool) -> None:
        """Somebody's code, and a result that only a cache entry names."""
        if code:
            self._put(BUCKET.blob(CODE))
        if entry:
            self.a_run_completes(None)
            self.runs.clear()
        self.time += OLD

    def _put(self, key: str, data: bytes = b"data") -> None:
        self.scene.put(key, data, age=-self.time)

    def _create(self, spec: Object) -> int:
        self.count += 1
        self.runs[self.count] = run(self.count, spec=spec)
        return self.count

    def _in(self, state: str | None) -> list[int]:
        return [number for number, obj in self.runs.items() if obj["status"].get("state") == state]

    def _entry(self) -> CacheEntry | None:
        if self.scene.store.head(BUCKET.cache(KEY)) is None:
            return None
        entry = CacheEntry.load(self.scene.store.get(BUCKET.cache(KEY)))
        return entry if entry.live(NOW + self.time) else None

    def _counts_on_its_upload(self) -> bool:
        return self.uploaded is not None and self.time - self.uploaded < timedelta(seconds=FRESH_SECONDS)

    @rule()
    def driver_uploads(self) -> None:
        """As `BucketAccess.carry`: what it wrote or saw within 12 h is there, else it is written anew."""
        if self._counts_on_its_upload():
            return
        info = self.scene.store.head(BUCKET.blob(CODE))
        written = timedelta(seconds=info.modified - NOW.timestamp()) if info is not None else None
        if written is None or self.time - written >= timedelta(seconds=FRESH_SECONDS):
            self._put(BUCKET.blob(CODE))
            written = self.time
        self.uploaded = written

    @precondition(lambda self: self._counts_on_its_upload())
    @rule()
    def driver_creates(self) -> None:
        self._create({"task": {"code": {"digest": CODE}}})

    @rule(expires=EXPIRES)
    def a_run_completes(self, expires: float | None) -> None:
        """One that refreshes: from its creation to its entry, while nothing else happens."""
        self._store(self._create({}))
        self._judge(self.count, expires)

    def _store(self, number: int) -> None:
        self._put(BUCKET.attempt(uid(number), 1).result)
        self.stored.add(number)

    def _judge(self, number: int, expires: float | None) -> None:
        entry = CacheEntry(
            key=KEY,
            result=ResultInfo(digest("x"), 4, "json"),
            etag="e",
            producer=Producer("name", uid(number), 1),
            created_at=NOW + self.time,
            expires_at=None if expires is None else NOW + self.time + timedelta(seconds=expires),
        )
        self._put(BUCKET.cache(KEY), entry.dump())
        self.runs[number]["status"] = {"state": "Completed", "result": {"digest": digest("x")}}

    @rule()
    def operator_looks_at_a_new_run(self) -> None:
        """It reads the pointer; what it makes of that is not written yet."""
        entry = self._entry()
        source = int(entry.producer.uid.replace("-", ""), 16) if entry is not None else None
        self.flying.append(Flying(self.time, self._create({"cache": {"key": KEY}}), source))

    @precondition(lambda self: CODE in mark(self.runs.values()).digests)
    @rule()
    def somebody_reads_a_run_to_repeat_it(self) -> None:
        self.flying.append(Flying(self.time, None))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def it_is_written_down(self, data: st.DataObject) -> None:
        self._land(data.draw(st.sampled_from(self.flying)))

    def _land(self, one: Flying) -> None:
        self.flying.remove(one)
        if one.run is None:
            self._create({"task": {"code": {"digest": CODE}}})
        elif one.run in self.runs:
            hit = {"state": "Cached", "result": {"sourceUID": uid(one.source)}} if one.source is not None else {}
            self.runs[one.run]["status"] = hit or {"state": "Running"}

    @precondition(lambda self: self._in("Running"))
    @rule()
    def pod_stores_its_result(self) -> None:
        for number in set(self._in("Running")) - self.stored:
            self._store(number)

    @precondition(lambda self: self.stored.intersection(self._in("Running")))
    @rule(expires=EXPIRES)
    def operator_judges(self, expires: float | None) -> None:
        """Maybe days after the result was stored."""
        self._judge(min(self.stored.intersection(self._in("Running"))), expires)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def a_run_goes(self, data: st.DataObject) -> None:
        del self.runs[data.draw(st.sampled_from(sorted(self.runs)))]

    @rule()
    def somebody_forgets_the_entry(self) -> None:
        self.scene.store.delete(BUCKET.cache(KEY))

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        """Whatever flies lands within `SETTLE`."""
        for one in [one for one in self.flying if self.time + step > one.since + SETTLE]:
            self._land(one)
        self.time += step

    @rule()
    def collection_goes_on(self) -> None:
        """The first list; the bucket; the wait, the second list and the first removal; one more removal."""
        going = self.collection
        if going is None:
            self.collection = Pass(self.time, mark(self.runs.values()))
        elif going.surveyed is None:
            now, spare = NOW + going.began, LEAST_SPARE
            going.parts = list(survey(self.scene.store, BUCKET.prefix, None, going.marks, now, spare=spare))
            going.surveyed = self.time
        else:
            if going.removing is None:
                self.time_passes(max(going.surveyed + SETTLE - self.time, timedelta()) + timedelta(seconds=1))
                going.removing = self._removals(going, mark(self.runs.values()))
            if next(going.removing, None) is None:
                self.collection = None

    def _removals(self, going: Pass, marks: Marks) -> Iterator[Removal]:
        now, spare = NOW + going.began, LEAST_SPARE
        for part in going.parts:
            yield from remove(self.scene.store, part, part.candidates, marks, now, spare=spare)

    @invariant()
    def everything_that_is_needed_is_there(self) -> None:
        needed = {BUCKET.attempt(uid(number), 1).result for number in self.stored & self.runs.keys()}
        for obj in self.runs.values():
            source = (obj["status"].get("result") or {}).get("sourceUID")
            needed |= {BUCKET.attempt(source, 1).result} if source else set()
        entry = self._entry()
        if entry is not None:
            needed.add(BUCKET.attempt(entry.producer.uid, 1).result)
        needed |= {BUCKET.attempt(uid(one.source), 1).result for one in self.flying if one.source is not None}
        named = CODE in mark(self.runs.values()).digests or any(one.run is None for one in self.flying)
        if named or self._counts_on_its_upload():
            needed.add(BUCKET.blob(CODE))
        assert needed <= self.scene.held(), needed - self.scene.held()


TestAnyOrder = World.TestCase
TestAnyOrder.settings = settings(
    max_examples=200, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
