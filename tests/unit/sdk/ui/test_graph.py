"""The graph of what needs what: layers, circles, many task runs, what a filter shows of them."""

from __future__ import annotations

from tests.unit.sdk.ui import worlds

from podtask.ui.view import graph
from podtask.ui.view.briefs import Brief, brief


def briefs(*runs: worlds.Object) -> list[Brief]:
    return [brief(run) for run in runs]


def test_layers_follow_what_is_needed() -> None:
    picture = graph.graph(briefs(*worlds.etl()))
    assert picture is not None
    column = {node.title if node.run == node.title else node.run: node.x for node in picture.nodes}
    assert column["config"] < column["fetch-eu"] < column["load"] < column["summary"] < column["notify"]
    assert len(picture.edges) == 8


def test_a_circle_is_drawn_and_ends() -> None:
    circle = [worlds.task_run(f"n{n}", needs=(f"n{(n + 1) % 4}",)) for n in range(4)]
    picture = graph.graph(briefs(*circle))
    assert picture is not None
    assert len(picture.nodes) == 4


def test_a_chain_as_long_as_the_picture_allows() -> None:
    chain = [worlds.task_run(f"n{n:03}", needs=(f"n{n - 1:03}",) if n else ()) for n in range(graph.SINGLE)]
    picture = graph.graph(briefs(*reversed(chain)))
    assert picture is not None
    assert len({node.x for node in picture.nodes}) == graph.SINGLE


def test_many_runs_are_nodes_of_their_tasks() -> None:
    runs = [worlds.task_run(f"n{n}", task=("a", "b")[n % 2], needs=(f"n{n - 1}",) if n % 2 else ())
            for n in range(400)]  # fmt: skip
    picture = graph.graph(briefs(*runs))
    assert picture is not None
    assert [(node.title, node.text) for node in picture.nodes] == [
        ("a", "200 runs, Completed"),
        ("b", "200 runs, Completed"),
    ]
    assert len(picture.edges) == 1


def test_without_lines_or_with_too_many_nodes_there_is_none() -> None:
    assert graph.graph(briefs(worlds.task_run("one"), worlds.task_run("two"))) is None
    runs = [worlds.task_run(f"n{n}", needs=(f"n{n - 1}",) if n else ()) for n in range(400)]
    assert graph.graph(briefs(*runs)) is None


def test_what_a_filter_shows_of_many_is_drawn_with_its_neighbours() -> None:
    runs = [worlds.task_run(f"n{n:03}", task=("a", "b")[n % 2], needs=(f"n{n - 1:03}",) if n else ())
            for n in range(400)]  # fmt: skip
    every = briefs(*runs)
    picture = graph.graph(every, [every[200]])
    assert picture is not None
    assert picture.of_a_part
    assert [node.run for node in picture.nodes] == ["n199", "n200", "n201"]
    whole = graph.graph(every, every)
    assert whole is not None
    assert (whole.grouped, whole.of_a_part) == (True, False)


def test_a_filter_that_shows_too_many_keeps_the_graph_of_tasks() -> None:
    every = briefs(*(worlds.task_run(f"n{n}", task=("a", "b")[n % 2], needs=(f"n{n - 1}",) if n % 2 else ())
                     for n in range(400)))  # fmt: skip
    picture = graph.graph(every, every[: graph.SINGLE + 1])
    assert picture is not None
    assert picture.grouped


def test_two_hundred_tasks_are_drawn() -> None:
    every = briefs(*(worlds.task_run(f"n{n:03}", needs=(f"n{n - 7:03}",) if n > 6 else ()) for n in range(200)))
    picture = graph.graph(every)
    assert picture is not None
    assert len(picture.nodes) == 200
    assert picture.nodes[0].text == "1 run, Completed"


def test_where_there_are_lines_and_no_picture_a_sentence_says_why() -> None:
    every = briefs(*(worlds.task_run(f"n{n}", needs=(f"n{n - 1}",) if n else ()) for n in range(400)))
    assert graph.too_many(every) == "400 tasks and 399 lines between them are too many for a picture."
    assert graph.too_many(briefs(worlds.task_run("one"), worlds.task_run("two"))) == ""


def test_nodes_do_not_lie_on_each_other() -> None:
    picture = graph.graph(briefs(*worlds.train()))
    assert picture is not None
    assert len({(node.x, node.y) for node in picture.nodes}) == len(picture.nodes)
    assert all(0 < node.x < picture.width and 0 < node.y < picture.height for node in picture.nodes)
