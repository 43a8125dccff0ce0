"""The report for strangers: what it holds, and above all what it does not."""

import getpass
import platform
import socket
from pathlib import Path

import pytest

from app import __version__
from app.cli.main import main
from app.paths import Paths
from app.system import report as reports
from app.system.report import redacted, report

HUB_TOKEN = "hf_" + "Q" * 34


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("loaded meta data from /data/anna/models/x.gguf (version V3)",
         "loaded meta data from <path> (version V3)"),
        ("open('/data/my models/the letter to Bob.pdf') failed", "open('<path>') failed"),
        ("File /mnt/My Files/deep seek.gguf is short", "File <path> is short"),
        (r"cannot open C:\Users\Anna Lee\models\a.gguf: denied", "cannot open <path>: denied"),
        (r"read \\server\share\a.onnx", "read <path>"),
        ("kept in ~/secret/place", "kept in <path>"),
        ("file:///tmp/a%20b.gguf and http://10.0.0.7:8080/v1", "<address> and <address>"),
        ("rpc 192.168.1.20:50052 is lost", "rpc <address> is lost"),
        ("fe80:12:34:56:78:9a:bc:de answered", "<address> answered"),
        ("mail anna@example.org", "mail <address>"),
        ("rpc gpu-box:50052 is lost", "rpc <address> is lost"),
        ("to gpu-box.lan:50052/v1, then localhost:8080", "to <address><path>, then <address>"),
        ("RPC0 [big_box:50052] and 'annas-pc.local:80'", "RPC0 [<address>] and '<address>'"),
        ("at ::1 or [::1]:8080 or fe80::1%eth0", "at <address> or <address> or <address>"),
        ("2001:db8::8a2e:370:7334 and 2001:db8::", "<address> and <address>"),
        ("::ffff:10.0.0.7 answered", "<address> answered"),
        ("Authorization: Basic YW5uYTpwYXNz", "Authorization: <token>"),
        ("sent Basic YW5uYTpwYXNzd29yZA== to it", "sent <token> to it"),
        ("Basic settings are read; BASIC arithmetic", "Basic settings are read; BASIC arithmetic"),
        (r"open \\?\C:\Users\Anna Lee\a.gguf: denied", "open <path>: denied"),
        (r"open \\?\UNC\server\share\a.onnx", "open <path>"),
        (repr(r"C:\Users\Anna Lee\x y.gguf"), "'<path>'"),
        ("File /home/Anna/O'Brien's models/a.gguf is short", "File <path> is short"),
        ("File /home/James' models/a.gguf is short", "File <path> is short"),
        ("open('/data/x/y', 'rb') and '/z'", "open('<path>', 'rb') and '<path>'"),
        ("open(\"/data/O'Brien/x/y\") failed", 'open("<path>") failed'),
        ("[Errno 2] No such file: '/srv/x'", "[Errno 2] No such file: '<path>'"),
        ("ggml-rpc.cpp:1263: in 11:23:53, layer:5, std::vector<int>, llama::model",
         "ggml-rpc.cpp:1263: in 11:23:53, layer:5, std::vector<int>, llama::model"),
        ("buffer: 1024:2048, ratio 16:9, KV:q8_0", "buffer: 1024:2048, ratio 16:9, KV:q8_0"),
        (f"sent {HUB_TOKEN} to it", "sent <token> to it"),
        ("Authorization: Bearer abc.def-123", "Authorization: <token>"),
        ("api_key='0123456789abcdef'", "api_key='<token>'"),
        ("key sk-stillroom-AbCdEf123456", "key <token>"),
        ('  File "app/downloads/queue.py", line 282, in _run',
         '  File "app/downloads/queue.py", line 282, in _run'),
        ("14.2 tokens/s, 4 / 8 blocks, llama.cpp 0.3.36, onnxruntime 1.24.1.0-rc",
         "14.2 tokens/s, 4 / 8 blocks, llama.cpp 0.3.36, onnxruntime 1.24.1.0-rc"),
        ("2026-12-01 11:23:53,120 ERROR app.gui: a job failed",
         "2026-12-01 11:23:53,120 ERROR app.gui: a job failed"),
    ],
)  # fmt: skip
def test_what_is_taken_out_of_a_line(line: str, left: str) -> None:
    assert redacted(line) == left


def test_names_of_person_and_machine_are_taken_out_whatever_their_case() -> None:
    text = redacted("Anna on annas-pc: Annapurna, anna_q4", ("annas-pc", "anna"))
    assert text == "<private> on <private>: Annapurna, anna_q4"


def test_a_report_tells_versions_and_the_end_of_both_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths.under(tmp_path / "stillroom")
    monkeypatch.setattr(getpass, "getuser", lambda: "zaphod")
    monkeypatch.setattr(socket, "gethostname", lambda: "heart-of-gold.local")
    paths.logs.mkdir(parents=True)
    lines = [f"line {number}" for number in range(500)]
    paths.log.write_text("\n".join([*lines, f"Zaphod has {HUB_TOKEN} in {paths.models}/a.gguf"]))
    paths.worker_log.write_text("llama.cpp on heart-of-gold read /root/x y.gguf\n")
    text = report(paths)
    assert text.startswith(f"Stillroom {__version__}")
    assert platform.release() in text
    assert "Processor: " in text
    assert "onnxruntime " in text
    assert "line 499" in text
    assert "line 100\n" not in text
    assert "llama.cpp on <private> read <path>" in text
    for secret in ("zaphod", HUB_TOKEN, str(tmp_path), "heart-of-gold", "a.gguf", "y.gguf"):
        assert secret.lower() not in text.lower()


def test_a_report_without_logs(tmp_path: Path) -> None:
    assert report(Paths.under(tmp_path)).count("(empty)") == 2


def test_the_command_prints_the_same_report(
    capsys: pytest.CaptureFixture[str], stillroom_home: Path
) -> None:
    assert main(["doctor", "--report"]) == 0
    printed = capsys.readouterr().out
    made = reports.report(Paths.under(stillroom_home))
    heads = [text.split("\nMemory: ")[0] for text in (printed, made)]  # free memory changes
    assert heads[0] == heads[1]
    assert "--- worker.log" in printed
