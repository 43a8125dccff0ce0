"""Results on one stream, everything else on the other."""

import io
import json

from app.cli.commands.console import Console, progress_text, table
from runtime.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_text_goes_out_and_messages_beside_it() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err)
    console.say("working")
    console.stream("an")
    console.stream("swer")
    console.result({"a": 1}, "done")
    assert out.getvalue() == "answerdone\n"
    assert err.getvalue() == "working\n"


def test_json_is_the_only_thing_on_stdout() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(as_json=True, out=out, err=err)
    console.stream("answer")
    console.progress(Progress("load", 1, 2, "bytes"))
    console.result({"text": "蒸馏", "path": io}, "ignored")
    assert json.loads(out.getvalue())["text"] == "蒸馏"
    assert out.getvalue().count("\n") == 1


def test_progress_is_drawn_on_a_terminal_only_and_makes_way() -> None:
    out, err = io.StringIO(), Terminal()
    console = Console(out=out, err=err)
    console.progress(Progress("prefill", 1, 4, "tokens"))
    assert "25 %" in err.getvalue()
    console.progress(Progress("prefill", 2, 4, "tokens"))
    assert "50 %" not in err.getvalue(), "redrawn at most ten times a second"
    console.stream("The answer")
    assert err.getvalue().endswith("\r"), "the line is wiped before text appears"
    plain = io.StringIO()
    Console(out=out, err=plain).progress(Progress("prefill", 1, 4, "tokens"))
    assert plain.getvalue() == ""


def test_lines_of_progress() -> None:
    half = Progress("download", 50_000_000, 100_000_000, "bytes", "x.gguf")
    assert progress_text(half) == "download  50 %  50.0 MB of 100 MB  x.gguf"
    assert progress_text(Progress("download", 5000, None, "bytes")) == "download  5.00 kB"
    assert progress_text(Progress("load", 250, 1000, "fraction")) == "load  25 %"
    assert (
        progress_text(Progress("quantize", 3, 10, "tensors")) == "quantize  30 %  3 of 10 tensors"
    )


def test_tables_line_up() -> None:
    assert table(("A", "LONG"), [("xyz", "1"), ("x", "22")]) == "A    LONG\nxyz  1\nx    22"
    assert table(("A",), []) == ""
