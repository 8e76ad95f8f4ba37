"""What subprocesses print comes out of this process's own streams."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from podtask import flow, task
from podtask.backends.in_process.output import CHUNK, OutputLines, StreamSplitter, follow


def followed(script: str) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-X", "utf8", "-c", script], **pipes) as process:  # type: ignore[call-overload]
        follow(process)
        assert process.returncode == 0


def test_both_streams_come_out_where_this_process_prints(capsys: pytest.CaptureFixture[str]) -> None:
    followed("import sys; print('out größe', flush=True); sys.stderr.write('err\\n'); sys.stdout.write('no end')")
    assert capsys.readouterr() == ("out größe\nerr\nno end\n", "")


class Noted(io.StringIO):
    """A stream that writes down what comes, together with the other one."""

    def __init__(self, name: str, written: list[tuple[str, str]]) -> None:
        super().__init__()
        self._name, self._written = name, written

    def write(self, text: str) -> int:
        self._written.append((self._name, text))
        return len(text)


def test_what_a_task_writes_comes_out_in_its_order_and_on_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    @task
    def talking():
        for number in range(200):
            print(f"out {number}")
            print(f"err {number}", file=sys.stderr)
        print("no end yet", end="")
        raise ValueError("the last word")

    @flow(backend="process")
    def listening():
        talking().wait()

    written: list[tuple[str, str]] = []
    monkeypatch.setenv("PODTASK_PROGRESS", "off")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Noted(name, written))
    listening(return_state=True)
    monkeypatch.undo()
    streams = [name for name, _ in written]
    text = "".join(part for _, part in written).splitlines()
    assert text[:400] == [f"{stream} {number}" for number in range(200) for stream in ("out", "err")]
    assert text[400] == "no end yetTraceback (most recent call last):"
    assert [line for line in text[401:] if "WARNING" not in line][-2:] == [
        "ValueError: the last word",
        "podtask: Failed: the last word",
    ]
    assert streams[:400] == ["stdout", "stderr"] * 200
    assert written[400] == ("stdout", "no end yet")
    assert set(streams[401:]) == {"stderr"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_mark_may_come_in_parts(capsys: pytest.CaptureFixture[str], size: int) -> None:
    data = b"out\nhalf \x0eab>err\n\x0eab<\x0e and \x0ea not a mark\n\x0eab>no end\x0eab<\x0ea"
    streams = StreamSplitter(b"\x0eab")
    for at in range(0, len(data), size):
        streams.take(data[at : at + size])
    streams.end()
    assert capsys.readouterr() == ("out\nhalf \x0e and \x0ea not a mark\n\x0ea\n", "err\nno end")


def test_a_file_that_a_task_puts_in_the_place_of_standard_error_has_no_marks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "caught")

    @task
    def catching():
        import os

        kept = os.dup(2)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 2)
        print("caught", file=sys.stderr)
        os.dup2(kept, 2)
        print("free", file=sys.stderr)

    @flow(backend="process")
    def listening():
        catching().wait()

    listening()
    assert (tmp_path / "caught").read_text() == "caught\n"
    assert "free\n" in capsys.readouterr().err


def test_more_than_a_pipe_holds_comes_out_whole(capsys: pytest.CaptureFixture[str]) -> None:
    followed("for n in range(50_000): print(n)")
    assert capsys.readouterr().out.split() == [str(n) for n in range(50_000)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pidfd_open(2), which only Linux has")
def test_a_child_of_the_process_that_keeps_the_pipe_open_is_not_waited_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The child ends when this test opens the FIFO: were it waited for, the test would never come so far."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = f"open({str(fifo)!r}).close()"
    followed(
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
        "print('done')"
    )
    assert capsys.readouterr().out == "done\n"
    fifo.write_text("")


def test_where_the_end_of_a_process_cannot_be_watched_its_pipes_tell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(pid: int) -> int:
        raise OSError("not in this sandbox")

    monkeypatch.setattr("os.pidfd_open", refused, raising=False)
    followed("print('done')")
    assert capsys.readouterr().out == "done\n"


def test_a_character_in_two_parts_and_a_stream_that_cannot_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    lines = OutputLines("stdout")
    for byte in "ö\n".encode():
        lines.take(bytes([byte]))
    assert buffer.getvalue() == b"\\xf6\n"


def test_a_line_that_is_drawn_over_itself_is_shown_as_it_grows(capsys: pytest.CaptureFixture[str]) -> None:
    lines = OutputLines("stdout")
    lines.take(b"\r 10%")
    lines.take(b"\r 20%")
    assert capsys.readouterr().out == "\r 10%\r"
    lines.take(b"\n")
    assert capsys.readouterr().out == " 20%\n"


def test_a_line_without_an_end_is_held_up_to_a_bound_and_none_of_it_is_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines, shown = OutputLines("stdout"), ""
    for sent in range(1, 5001):
        lines.take(b"x" * 100)
        shown += capsys.readouterr().out if sent % 100 == 0 else ""
        assert sent % 100 or 100 * sent - len(shown) <= CHUNK
    lines.end()
    assert shown + capsys.readouterr().out == "x" * 500_000 + "\n"


def test_a_stream_that_is_closed_takes_nothing_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    followed("print('lost')")


def test_without_a_stream_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    OutputLines("stdout").take(b"lost\n")


def test_prints_of_tasks_of_the_process_backend_are_captured_like_the_flows_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @task
    def talking():
        print("in the subprocess")

    @flow(backend="process")
    def listening():
        talking().wait()

    listening()
    assert capsys.readouterr().out == "in the subprocess\n"
