"""Commands about this machine: devices and doctor."""

import platform
import shutil
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from app.cli.commands.console import Console, table
from app.cli.commands.models import error_text
from app.errors import AppError
from app.history.records import RunRecord
from app.library.catalog import starter
from app.planning.learning import history
from app.planning.machine import measurable
from app.session.engine_timing import time_engines
from app.session.session import Session
from app.system.packs import installed as installed_packs
from app.system.report import PACKAGES, report, versions
from app.wording.explain import diagnosis_text, preflight_text, reason_text, unavailable_text
from app.wording.sentences import DOUBTS
from app.wording.units import format_bytes, format_interval, format_tps
from quant.errors import QuantError
from runtime.devices import Device
from runtime.errors import BackendUnavailable, EngineError
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.diagnosis import SLOWER, UNEXPLAINED_SHOWN, Diagnosis
from runtime.progress import CancelToken, ignore_progress

_WORKING_SETS = (4_000_000, 64_000_000, 1_000_000_000, 4_000_000_000)  # bytes
NOT_USED = " (not used: built for another version of the engine)"


def devices(session: Session, _args: Namespace, console: Console) -> None:
    """CPU, GPUs and NPUs: memory, and usable or the reason why not, from five facts each."""
    session.devices(refresh=True)
    preflights = session.machine.preflight(console.progress, CancelToken())
    console.end_progress()
    found = session.devices()
    rows = [
        (
            device.id,
            device.kind,
            device.library,
            device.name,
            f"{format_bytes(device.memory_free)} of {format_bytes(device.memory_total)} free",
            "usable" if device.usable else unavailable_text(device.unavailable_reason),
        )
        for device in found
    ]
    headings = ("DEVICE", "KIND", "LIBRARY", "NAME", "MEMORY", "STATE")
    facts = "\n".join(map(preflight_text, preflights))
    text = table(headings, rows) + (f"\n\n{facts}" if facts else "")
    console.result({"devices": found, "preflights": preflights}, text)


def profile(session: Session, args: Namespace, console: Console) -> None:
    """The RAM-bandwidth profiler; with --history how predictions have fared, with --why what made
    the last run as fast as it was."""
    if args.why:
        found = session.why_slow()
        console.result(found, why_text(next(iter(session.store.runs(1)), None), found))
        return
    if args.history:
        record = history(session.store.runs(1000))
        text = "No finished run has had a prediction yet."
        if record is not None:
            text = (
                f"{record.runs} runs: median error {100 * record.median_error:.0f} %,"
                f" {100 * record.coverage:.0f} % inside the predicted range"
            )
        console.result(record, text)
        return
    measured = session.profile(full=args.full, on_progress=console.progress, cancel=CancelToken())
    time_engines(session, console.progress, CancelToken())
    console.end_progress()
    lines = [profile_text(measured, measured.missing(measurable(session.devices())))]
    known = session.learning.load().profile
    if known is not None and known != measured:
        lines.append(
            f"Discarded: predictions still use the steadier measurement of {known.measured_at}."
        )
    faster = session.engines.latest()
    if faster is not None:
        lines.append(f"engines: {reason_text(faster.reason)}")
    console.result(measured, "\n".join(lines))


def why_text(run: RunRecord | None, found: Diagnosis | None) -> str:
    """Why the last run was as fast as it was, as a person reads it."""
    if run is None or found is None or not run.measured_decode_tps:
        return "The history has no run with a predicted speed yet."
    expected = run.predicted_decode_tps
    predicted = f", {format_interval(expected)} predicted at this length" if expected else ""
    head = f"{run.model}: {format_tps(run.measured_decode_tps)}{predicted}"
    left = ""
    if found.slowdown > SLOWER and found.unexplained > UNEXPLAINED_SHOWN:
        left = f"\n{100 * found.unexplained:.0f} %: not explained by any measurement."
    return f"{head}\n{diagnosis_text(found)}{left}"


def profile_text(profile: BandwidthProfile, missing: Sequence[str] = ()) -> str:
    """A bandwidth profile as a person reads it; `missing` are devices that could not be timed."""
    lines = []
    for device in profile.devices:
        kernels = {"plain read": device.plain, **device.products}
        rows = [
            (kernel, str(curve.threads), *(f"{curve.at(size) / 1e9:.1f}" for size in _WORKING_SETS))
            for kernel, curves in kernels.items()
            for curve in curves
        ]
        sizes = tuple(format_bytes(size) for size in _WORKING_SETS)
        lines.append(f"{device.device}: GB/s read by working set")
        lines.append(table(("KERNEL", "THREADS", *sizes), rows))
    lines.append(f"spread between readings {100 * profile.spread:.0f} %")
    lines.extend(
        f"{device} was not measured, so no speed is predicted for it." for device in missing
    )
    lines.extend(DOUBTS.get(doubt, doubt) for doubt in profile.doubts)
    return "\n".join(lines)


def doctor(session: Session, args: Namespace, console: Console) -> None:
    """Self-test of everything, in words; with --report the text for a bug report.
    Raises EngineError when the engine does not answer."""
    if args.report:
        text = report(session.paths)
        console.result({"report": text}, text)
        return
    checks: tuple[tuple[str, Callable[[Session], str]], ...] = (
        ("system", _system),
        ("packages", _packages),
        ("packs", _packs),
        ("folders", _folders),
        ("catalog", lambda s: f"{len(s.catalog)} models"),
        ("history", _history),
        ("processor", _processor),
        ("devices", _devices),
        ("providers", _providers),
        ("engine", _engine),
    )
    results: list[dict[str, Any]] = []
    for name, check in checks:
        try:
            ok, text = True, check(session)
        except (AppError, EngineError, QuantError, OSError) as error:
            ok, text = False, error_text(error)
        results.append({"check": name, "ok": ok, "detail": text})
        if not console.as_json:
            console.say(f"{'ok ' if ok else 'BAD'}  {name:<9} {text}")
    bad = [result["check"] for result in results if not result["ok"]]
    console.result(results, f"Problems found: {', '.join(bad)}." if bad else "Everything works.")
    if bad:
        raise SystemExit(1)


def _system(_session: Session) -> str:
    return f"{platform.platform()}, Python {platform.python_version()}"


def _packages(_session: Session) -> str:
    return ", ".join(versions(PACKAGES))


def _packs(session: Session) -> str:
    found = installed_packs(session.paths.packs)
    words = [f"{pack.name} {pack.version}" + ("" if pack.fits else NOT_USED) for pack in found]
    return ", ".join(words) or "none installed"


def _folders(session: Session) -> str:
    session.paths.data.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(session.paths.data).free
    return f"{session.paths.data} ({format_bytes(free)} free), logs in {session.paths.logs}"


def _history(session: Session) -> str:
    return f"{len(session.store.conversations())} conversations, {len(session.store.runs())} runs"


def _processor(session: Session) -> str:
    choice = session.cpu_library.select()
    if choice.reason.code == "cpu_library_none":
        raise BackendUnavailable(
            backend="llamacpp",
            reason="no_library_works",
            detail=", ".join(f"{name}: {why}" for name, why in choice.refused.items()),
        )
    return reason_text(choice.reason)


def _devices(session: Session) -> str:
    def word(device: Device) -> str:
        if device.usable:
            return f"{device.id} ({device.name})"
        return f"{device.id} not used: {unavailable_text(device.unavailable_reason)}"

    return "; ".join(map(word, session.devices(refresh=True)))


def _providers(session: Session) -> str:
    """The five facts about each execution provider; a failed one is told, and no fault here."""
    tried = session.machine.preflight()
    return "\n".join(map(preflight_text, tried)) or "none installed, and no NPU found"


def _engine(session: Session) -> str:
    """One token from the starter, if it is installed."""
    entry = starter(session.catalog)
    assert entry is not None
    if session.library.find(entry.id) is None:
        return "not tested: the starter model is not installed (`stillroom try` installs it)"
    report = session.load(entry.id, None, ignore_progress, CancelToken())
    request = GenerationRequest(
        "doctor", (Message("user", "Hello"),), SamplingParams(temperature=0), max_tokens=1
    )
    session.generate(request, lambda _: None)
    return f"{report.engine} {report.engine_version} generated a token"
