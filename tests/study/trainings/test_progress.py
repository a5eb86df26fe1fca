from __future__ import annotations

import io
import sys

import pytest

from thinnet.study._trainings.progress import Bars, Lines, Progress, choose_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def speak(progress: Progress) -> None:
    progress.write("houses.csv: 30 rows [bold]")
    progress.begin_stage("grow", 2)
    progress.advance("width 32: 0.5")
    progress.advance("width 64: 0.4")
    progress.begin_stage("confirm", 1)
    progress.advance()
    progress.close()


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = choose_progress(quiet=False)
    assert isinstance(progress, Lines)
    speak(progress)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "houses.csv: 30 rows [bold]",
        "grow: 2/2, width 64: 0.4, about 0 s left",
        "confirm: 1/1, about 0 s left",
    ]


def test_lines_are_few(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = Lines(every=5.0)
    progress.begin_stage("thin", 40)
    for _ in range(40):
        clock[0] += 1.0
        progress.advance("best 0.5")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "thin: 5/40, best 0.5, about 35 s left"
    assert said[-1] == "thin: 40/40, best 0.5, about 0 s left"
    assert len(said) == 8


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    progress = choose_progress(quiet=False)
    assert isinstance(progress, Bars)
    speak(progress)
    said = terminal.getvalue()
    for word in ("houses.csv: 30 rows [bold]", "grow", "2/2", "width 64: 0.4", "confirm", "1/1"):
        assert word in said


def test_nothing_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    progress = choose_progress(quiet=True)
    assert type(progress) is Progress
    speak(progress)
    assert capsys.readouterr() == ("", "")
