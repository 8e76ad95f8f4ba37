"""Whoever writes a message, a name or a log commands nobody's terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask.support.terminal_text import visible, visible_log

CLIPBOARD = "\x1b]52;c;Y3VybCBldmlsfHNo\x07"
KEPT = ["plain", "a\tb\nc", "é ü 漢字 🎉", "\x1b[32mCompleted\x1b[0m", ""]


@pytest.mark.parametrize("text", KEPT)
def test_what_commands_nothing_stays(text: str) -> None:
    assert visible(text) == text
    assert visible_log(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (CLIPBOARD, "\\x1b]52;c;Y3VybCBldmlsfHNo\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("over\rwritten", "over\\x0dwritten"),
        ("\x1b[8mhidden", "\\x1b[8mhidden"),
        ("\x7f\x00", "\\x7f\\x00"),
        ("\x1b\x1b[32m", "\\x1b\x1b[32m"),
    ],
)
def test_what_commands_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_control_character_is_left_but_tab_and_line_feed(text: str) -> None:
    left = {char for char in visible(text.replace("\x1b[", "")) if unicodedata.category(char) == "Cc"}
    assert left <= {"\t", "\n"}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (CLIPBOARD.encode(), b"\\x1b]52;c;Y3VybCBldmlsfHNo\\x07"),
        (b"\x1b[1;31mred\x1b[0m\n", b"\x1b[1;31mred\x1b[0m\n"),
        (b" 10%\r 20%\r\n", b" 10%\r 20%\r\n"),
        (b"\x1b[2Jm", b"\\x1b[2Jm"),
        ("\x9b2J".encode(), b"\\x9b2J"),
        (b"\xff\xfe\x00", b"\xff\xfe\\x00"),
    ],
)
def test_a_log_keeps_its_colours_and_progress_bars_and_nothing_else(line: bytes, shown: bytes) -> None:
    assert visible_log(line) == shown


def test_characters_that_end_in_bytes_of_c1_stay() -> None:
    text = "".join(chr(number) for number in range(0xA0, 0x2000))
    assert visible_log(text.encode()) == text.encode()
