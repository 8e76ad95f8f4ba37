"""The pages as HTML, the actions, the logs: over real HTTP, in front of an API server of this process."""

from __future__ import annotations

import re
from html import unescape

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.ui import odd_worlds, worlds
from tests.unit.sdk.ui.conftest import Browser, World

from podtask.core.api.names import FLOW_RUN_PLURAL, PLURAL

FLOWS, TASKS = "/namespaces/team/flow-runs", "/namespaces/team/task-runs"
WORLDS_QUICK = ("nothing", "one", "day", "longest", "failed")


def words(browser: Browser, path: str) -> str:
    """What a person reads there."""
    answer = browser.get(path)
    assert answer.status == 200, answer.text
    inside = answer.text.partition("<main")[2].partition(">")[2]
    inside = re.sub(r"</?(?:b|time|code)\b[^>]*>", "", inside)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", inside)).split())


class TestReading:
    def test_flow_runs_are_listed_newest_first_with_their_counts(self, world: World) -> None:
        worlds.day(world.cluster)
        text = words(world.browser(), FLOWS)
        assert text.index("swift-heron") < text.index("brave-otter") < text.index("calm-lynx-0")
        assert "17 in all 3 Failed 1 Running 3 Cancelled 9 Completed 1 Driver lost" in text
        assert "8 of 8, 3 failed" in text
        assert "1 task run of this namespace is in no flow run." in text

    def test_a_namespace_without_flow_runs_says_how_to_get_one(self, world: World) -> None:
        text = words(world.browser(), FLOWS)
        assert "No flow runs yet" in text
        assert "as soon as it starts in namespace team" in text
        assert text.rpartition("greet()")[2].startswith(" PODTASK_BACKEND=kubernetes python hello.py")

    def test_a_cluster_without_the_crd_shows_labels(self, world: World) -> None:
        world.cluster.flow_runs = None
        world.cluster.put(*worlds.etl())
        browser = world.browser()
        assert "etl etl-1f3a52b7" in words(browser, FLOWS)
        text = words(browser, f"{FLOWS}/etl-1f3a52b7")
        assert "known by the label of its task runs only" in text
        assert "Failed first: load" in text
        assert browser.get(f"{FLOWS}/etl-1f3a52b7/cancel").status == 404

    def test_a_flow_run_says_what_failed_first_and_what_its_driver_reports(self, world: World) -> None:
        worlds.day(world.cluster)
        text = words(world.browser(), f"{FLOWS}/etl-1f3a52b7")
        assert "took 4m22s, 4 retries, 1 disruption nightly prod" in text
        assert "Failed first: load" in text
        assert "password hidden SecretStr" in text
        assert "etl.py on ada-laptop" in text

    def test_a_lost_driver_has_a_cure(self, world: World) -> None:
        worlds.day(world.cluster)
        text = words(world.browser(), f"{FLOWS}/ingest-0ff1ce")
        assert "PODTASK_FLOW_RUN_ID=pin-ingest-0ff1ce python etl.py" in text

    def test_a_lost_driver_in_a_pod_is_started_again_by_the_command(self, world: World) -> None:
        """`python etl.py` was said to a person who has no such file, and no way into the pod."""
        lost = {"conditions": [{"type": "DriverLost", "status": "True"}]}
        driver = {"driver": {"id": "x", "taskRun": "drive", "program": "etl.py", "host": "drive-1"}}
        world.cluster.put(worlds.flow_run("etl-9", "Running", spec=driver, status=lost))
        text = words(world.browser(), f"{FLOWS}/etl-9")
        assert "To attach a new driver: podtask retry flow/etl-9 -n team" in text
        assert "python etl.py" not in text

    @pytest.mark.parametrize(
        ("state", "step"),
        [("Failed", True), ("Crashed", True), ("Cancelled", True), ("Completed", False), ("Running", False)],
    )
    def test_an_end_without_success_has_a_next_step(self, world: World, state: str, step: bool) -> None:
        world.cluster.put(worlds.flow_run("etl-9", state))
        text = words(world.browser(), f"{FLOWS}/etl-9")
        assert ("Next podtask retry flow/etl-9 -n team" in text) is step

    def test_what_failed_first_is_said_once(self, world: World) -> None:
        """The flow's own exception is often that of its task."""
        worlds.day(world.cluster)
        world.cluster.put(worlds.flow_run("early", "Failed", status={"message": "Flow run … RuntimeError: early"}))
        browser = world.browser()
        head = words(browser, f"{FLOWS}/etl-1f3a52b7").partition("Timeline")[0]
        assert head.count("column 'price' has no numbers") == 1
        assert "RuntimeError: early" in words(browser, f"{FLOWS}/early")

    def test_a_subflow_is_not_retried_by_itself(self, world: World) -> None:
        parent = {"parent": {"name": "etl-9", "uid": "u"}}
        world.cluster.put(worlds.flow_run("child-9", "Failed", spec=parent))
        assert "podtask retry" not in words(world.browser(), f"{FLOWS}/child-9")

    def test_a_flow_without_a_driver_has_no_duration(self, world: World) -> None:
        worlds.day(world.cluster)
        text = world.browser().get(FLOWS).text
        (lost,) = [row for row in text.split("<tr>") if "Driver lost" in row and "ingest" in row]
        assert re.search(r'<td class="num">\s*</td>', lost)

    def test_a_list_counts_retries(self, world: World) -> None:
        worlds.day(world.cluster)
        assert re.search(r"train swift-heron gpu 3 of 10, \d retr", words(world.browser(), FLOWS))

    def test_a_flow_that_called_no_task_says_so(self, world: World) -> None:
        odd_worlds.odd(world.cluster)
        text = words(world.browser(), f"{FLOWS}/empty-1")
        assert "It called no task." in text
        assert "yet" not in text

    def test_subflows_have_their_task_runs_counted_and_their_time(self, world: World) -> None:
        odd_worlds.odd(world.cluster)
        text = words(world.browser(), f"{FLOWS}/parent-1").partition("Subflows")[2]
        assert re.search(r"Running child child-2 \d", text)
        assert "Failed child child-1 1 of 1, 1 failed" in text
        assert text.count("100s") == 2

    def test_the_graph_of_very_many_task_runs_is_that_of_what_is_shown(self, world: World) -> None:
        odd_worlds.tasks(world.cluster, 400)
        browser = world.browser()
        text = words(browser, f"{FLOWS}/wide-1")
        assert "400 tasks and 780 lines between them are too many for a picture. Search for a task run" in text
        text = words(browser, f"{FLOWS}/wide-1?q=task-100")
        assert "of what is shown, with its neighbours" in text
        assert re.findall(r"(task-\d+): Completed", text) == [
            "task-087",
            "task-093",
            "task-100",
            "task-107",
            "task-113",
        ]

    def test_two_hundred_tasks_are_a_graph(self, world: World) -> None:
        odd_worlds.tasks(world.cluster)
        assert "by task task-000: 1 run, Completed" in words(world.browser(), f"{FLOWS}/wide-1")

    def test_one_that_failed_is_offered_as_one(self, world: World) -> None:
        worlds.day(world.cluster)
        assert "Retry the one without success shown" in words(world.browser(), f"{FLOWS}/etl-1f3a52b7?state=Failed")

    @pytest.mark.parametrize("path", [FLOWS, TASKS, f"{FLOWS}/{'f' * 63}"])
    def test_what_is_cut_stands_in_its_title(self, world: World, path: str) -> None:
        """Long names are cut by the style, after lines that a person sees."""
        worlds.longest(world.cluster)
        text = world.browser().get(path).text
        cells = re.findall(r'<td class="name"><a href="[^"]*"([^>]*)>([^<]*)</a>', text)
        assert cells
        for attributes, name in cells:
            assert f'title="{name}"' in attributes

    def test_subflows_are_listed_and_name_their_parent(self, world: World) -> None:
        worlds.one(world.cluster)
        parent = {"parent": {"name": "hello-5f1c", "uid": "u"}}
        world.cluster.put(worlds.flow_run("child-1", flow="inner", spec=parent))
        browser = world.browser()
        assert "Subflows" in words(browser, f"{FLOWS}/hello-5f1c")
        assert f'href="{FLOWS}/hello-5f1c"' in browser.get(f"{FLOWS}/child-1").text

    def test_a_task_run_says_what_describe_says(self, world: World) -> None:
        worlds.day(world.cluster)
        text = words(world.browser(), f"{TASKS}/load")
        assert "Next see the traceback: podtask error load -n team; then podtask retry load -n team" in text
        assert "ValueError: column 'price' has no numbers in row 48,112" in text
        assert "1 First Failed Exception 1 new node-a" in text
        assert "2 of 3 retries, 0 disruptions" in text

    def test_a_result_is_shown_where_it_is_json_and_never_opened_elsewhere(self, world: World) -> None:
        worlds.one(world.cluster)
        pickled = {"digest": "1" * 64, "size": 9, "serializer": "cloudpickle", "inline": "gASVBw==", "attempt": 1}
        world.cluster.put(worlds.task_run("packed", status={"result": pickled}))
        browser = world.browser()
        assert '"hello ada"' in words(browser, f"{TASKS}/hello-ada")
        assert "It is not shown: podtask result packed -o FILE stores it." in words(browser, f"{TASKS}/packed")

    def test_why_the_cache_missed(self, world: World) -> None:
        why = "Compared with 'old': argument `rows` changed; code the same."
        cache = {"outcome": "Miss", "missReason": why, "key": "k1:abc"}
        world.cluster.put(worlds.task_run("one", status={"cache": cache}))
        assert f"Cache Miss ({why}) Cache key k1:abc" in words(world.browser(), f"{TASKS}/one")

    def test_filters_are_in_the_url(self, world: World) -> None:
        worlds.day(world.cluster)
        browser = world.browser()
        assert "Shown: 2 of 8" in words(browser, f"{FLOWS}/etl-1f3a52b7?state=NotReady")
        assert "Shown: 2 of 8, task fetch." in words(browser, f"{FLOWS}/etl-1f3a52b7?task=fetch")
        assert "None of 17 flow runs" in words(browser, f"{FLOWS}?q=nobody")
        assert "calm-lynx-3" in words(browser, f"{FLOWS}?state=Cancelled")

    def test_what_is_not_there_says_so(self, world: World) -> None:
        browser = world.browser()
        for path, text in ((f"{TASKS}/no", "There is no TaskRun 'no'"), (f"{FLOWS}/no", "There is no flow run 'no'")):
            answer = browser.get(path)
            assert answer.status == 404
            assert text in unescape(answer.text)

    def test_yaml(self, world: World) -> None:
        worlds.one(world.cluster)
        assert "kind: TaskRun" in words(world.browser(), f"{TASKS}/hello-ada/yaml")

    @pytest.mark.parametrize("name", WORLDS_QUICK)
    def test_every_link_of_every_page_leads_somewhere(self, world: World, name: str) -> None:
        worlds.WORLDS[name](world.cluster)
        browser, seen, queue = world.browser(), set[str](), ["/"]
        while queue:
            path = queue.pop().partition("#")[0]
            if path in seen or len(seen) > 120:
                continue
            seen.add(path)
            answer = browser.get(path)
            gone = answer.status == 404 and "There is no TaskRun" in unescape(answer.text)  # an upstream of the world
            assert answer.status in (200, 303) or gone, f"{path}: {answer.status}"
            base = path.partition("?")[0]
            links = [unescape(link) for link in re.findall(r'href="([^"]+)"', answer.text)]
            queue += [base + link if link.startswith("?") else link for link in links if not link.startswith("#")]


class TestRefusals:
    def test_who_may_not_list_reads_why(self, world: World) -> None:
        message = f'{PLURAL}.podtask.dev is forbidden: User "ada" cannot list resource "{PLURAL}"'
        world.cluster.refuse[f"list {PLURAL}"] = Refuse(403, "Forbidden", message)
        browser = world.browser()
        assert "'ada' may not list taskruns in namespace 'team'" in words(browser, FLOWS)
        assert "'ada' may not list taskruns in namespace 'team'" in words(browser, f"{FLOWS}/any")

    def test_what_was_read_is_forgotten_when_the_right_is_taken_away(self, world: World) -> None:
        worlds.one(world.cluster)
        browser = world.browser()
        assert "1 in all" in words(browser, TASKS)
        no = Refuse(403, "Forbidden", f'{PLURAL}.podtask.dev is forbidden: User "ada" cannot watch resource "{PLURAL}"')
        world.cluster.refuse[f"list {PLURAL}"] = world.cluster.refuse[f"watch {PLURAL}"] = no
        world.cluster.forget()
        reflector = world.page.ui.viewer.indexes.task_runs("team")
        while not reflector.over:  # the thread ends by the refusal, without a sleep of ours
            reflector._thread.join()
        text = words(browser, TASKS)
        assert "'ada' may not" in text
        assert "hello" not in text

    def test_an_api_server_that_is_away_is_a_sentence(self, world: World) -> None:
        for verb in ("list", "get"):
            world.cluster.refuse[f"{verb} {PLURAL}"] = Refuse(503, "ServiceUnavailable", "apiserver is shutting down")
        browser = world.browser()
        answer = browser.get(f"{TASKS}/any")
        assert answer.status == 502
        assert "apiserver is shutting down" in answer.text
        assert "Not up to date. The API server answered 503" in words(browser, FLOWS)


class TestActions:
    @pytest.mark.parametrize(
        ("state", "action", "change"),
        [
            ("Running", "cancel", {"cancel": True}),
            ("Running", "suspend", {"suspend": True}),
        ],
    )
    def test_a_running_task_run(self, world: World, state: str, action: str, change: dict[str, bool]) -> None:
        world.cluster.put(worlds.task_run("one", state, attempts=[worlds.attempt(1, 9, None)]))
        browser = world.browser()
        assert f'href="{TASKS}/one/{action}"' in browser.get(f"{TASKS}/one").text
        confirm = browser.get(f"{TASKS}/one/{action}")
        assert world.cluster.runs["team", "one"]["spec"].items().isdisjoint(change.items())
        assert "Namespace" in confirm.text
        assert ">here<" in confirm.text
        answer = browser.post(f"{TASKS}/one/{action}", {"form_token": confirm.value("form_token")})
        assert (answer.status, answer.headers["Location"]) == (303, f"{TASKS}/one")
        assert world.cluster.runs["team", "one"]["spec"].items() >= change.items()

    def test_resume(self, world: World) -> None:
        world.cluster.put(worlds.task_run("one", "Pending", spec={"suspend": True}))
        browser = world.browser()
        token = browser.get(f"{TASKS}/one/resume").value("form_token")
        assert browser.post(f"{TASKS}/one/resume", {"form_token": token}).status == 303
        assert world.cluster.runs["team", "one"]["spec"]["suspend"] is False

    def test_retry_runs_the_failed_upstreams_first_and_finds_free_names(self, world: World) -> None:
        world.cluster.put(*worlds.etl(), worlds.task_run("load-r2"))
        browser = world.browser()
        token = browser.get(f"{TASKS}/notify/retry").value("form_token")
        answer = browser.post(f"{TASKS}/notify/retry", {"form_token": token})
        assert answer.headers["Location"] == f"{TASKS}/notify-r2"
        posts = [body for verb, path, body in world.cluster.written() if verb == "POST" and path.endswith(PLURAL)]
        made = [body["metadata"]["name"] for body in posts]
        assert made == ["load-r2", "load-r3", "summary-r2", "notify-r2"]
        needs = [up["taskRun"] for up in world.cluster.runs["team", "summary-r2"]["spec"]["upstream"]]
        assert needs == ["load-r3", "clean-us"]

    def test_what_runs_cannot_be_retried(self, world: World) -> None:
        world.cluster.put(worlds.task_run("one", "Running", attempts=[worlds.attempt(1, 9, None)]))
        browser = world.browser()
        page = browser.get(f"{TASKS}/one")
        assert "/retry" not in page.text
        answer = browser.post(f"{TASKS}/one/retry", {"form_token": page.value("form_token")})
        assert answer.status == 502
        assert "has not ended" in answer.text

    def test_a_flow_run_is_cancelled_and_deleted(self, world: World) -> None:
        worlds.day(world.cluster)
        browser = world.browser()
        token = browser.get(f"{FLOWS}/train-77c0de/cancel").value("form_token")
        assert browser.post(f"{FLOWS}/train-77c0de/cancel", {"form_token": token}).status == 303
        assert world.cluster.flow_runs is not None
        assert world.cluster.flow_runs["team", "train-77c0de"]["spec"]["cancel"] is True
        assert "It is cancelled" in words(browser, f"{FLOWS}/train-77c0de")
        assert browser.post(f"{FLOWS}/train-77c0de/delete", {"form_token": token}).headers["Location"] == FLOWS
        assert ("team", "train-77c0de") not in world.cluster.flow_runs

    def test_what_is_not_allowed_is_not_offered_and_is_refused_at_the_moment_it_is_done(self, world: World) -> None:
        worlds.day(world.cluster)
        browser = world.browser()
        token = browser.get(f"{TASKS}/load/delete").value("form_token")
        assert f'href="{TASKS}/load/delete"' in browser.get(f"{TASKS}/load").text
        world.cluster.allowed.clear()
        for path in (f"{TASKS}/load/delete", f"{TASKS}/load/retry", f"{FLOWS}/etl-1f3a52b7/delete"):
            answer = browser.post(path, {"form_token": token})
            assert answer.status == 403
            assert "You may not" in answer.text
        assert ("team", "load") in world.cluster.runs
        world.page.ui.viewer.rights._answers.clear()
        for path in (f"{TASKS}/load", f"{FLOWS}/etl-1f3a52b7"):
            text = browser.get(path).text
            assert "/delete" not in text
            assert "/retry" not in text

    def test_reviews_are_of_the_right_things(self, world: World) -> None:
        worlds.day(world.cluster)
        world.cluster.allowed = {("patch", PLURAL), ("delete", FLOW_RUN_PLURAL)}
        browser = world.browser()
        text = browser.get(f"{TASKS}/fold-2").text
        assert [
            action for action in ("cancel", "suspend", "resume", "retry", "delete") if f"/fold-2/{action}" in text
        ] == [
            "cancel",
            "suspend",
        ]
        text = browser.get(f"{FLOWS}/train-77c0de").text
        assert [action for action in ("cancel", "delete") if f"/train-77c0de/{action}" in text] == ["delete"]

    def test_there_is_no_other_action(self, world: World) -> None:
        worlds.one(world.cluster)
        browser = world.browser()
        assert browser.get(f"{TASKS}/hello-ada/explode").status == 404
        assert browser.get(f"{FLOWS}/hello-5f1c/retry").status == 404


class TestLogs:
    def fill(self, world: World, count: int) -> None:
        worlds.one(world.cluster)
        lines = [b"line %d\n" % number for number in range(count)]
        for piece in range(0, count, 1000):
            world.store.put(
                f"{world.keys('uid-hello-ada').log}{piece // 1000 + 1:06}", b"".join(lines[piece : piece + 1000])
            )

    def test_the_last_lines_are_on_the_page_all_of_them_in_the_file(self, world: World) -> None:
        self.fill(world, 5000)
        browser = world.browser()
        text = words(browser, f"{TASKS}/hello-ada")
        assert "line 4999" in text
        assert "line 4499" not in text
        assert "The last 500 lines" in text
        answer = browser.get(f"{TASKS}/hello-ada/log?attempt=1")
        assert answer.body == b"".join(b"line %d\n" % number for number in range(5000))
        assert answer.headers["Content-Disposition"] == 'attachment; filename="hello-ada-1.log"'
        assert answer.headers["Content-Type"] == "application/octet-stream"

    def test_a_search_looks_at_all_of_it(self, world: World) -> None:
        self.fill(world, 5000)
        browser = world.browser()
        text = words(browser, f"{TASKS}/hello-ada?find=LINE%2077")
        assert "11 lines with “LINE 77”." in text
        assert "78 line 77 " in text
        assert "500 and more lines" in words(browser, f"{TASKS}/hello-ada?find=line")
        assert "0 lines with “nothing”." in words(browser, f"{TASKS}/hello-ada?find=nothing")

    @pytest.mark.parametrize("attempt", ["0", "2", "-1", "x", "9" * 30])
    def test_an_attempt_that_is_not_there_is_the_newest(self, world: World, attempt: str) -> None:
        self.fill(world, 3)
        assert "line 2" in words(world.browser(), f"{TASKS}/hello-ada?attempt={attempt}")

    def test_a_log_that_cannot_be_read_is_a_sentence(self, world: World) -> None:
        worlds.one(world.cluster)
        browser = world.browser()
        assert "The task printed nothing." in words(browser, f"{TASKS}/hello-ada")
        assert browser.get(f"{TASKS}/nobody/log").status == 404
