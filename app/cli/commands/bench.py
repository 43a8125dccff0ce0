"""The bench command: measure a model, save the run, compare two saved runs."""

import time
from argparse import Namespace
from pathlib import Path

import msgspec

from app.cli.commands.console import Console, table
from app.planning.engine_timings import engine_for
from app.session.session import Session
from app.wording.units import format_bytes
from runtime.errors import InvalidRequest
from runtime.progress import CancelToken
from runtime.tasks.bench import (
    DEPTHS,
    FORMAT,
    Bench,
    BenchRequest,
    BenchRun,
    Comparison,
    compare,
    machine_facts,
    machine_load,
)


def bench(session: Session, args: Namespace, console: Console) -> None:
    """Prefill and decode at several depths: medians with spread. --compare reads two saved runs."""
    if args.compare:
        first, second = (read_run(path) for path in args.compare)
        rows = compare(first, second)
        console.result(rows, comparison_text(first, second, rows))
        return
    if args.model is None:
        raise InvalidRequest(field="MODEL", reason="needs_model")
    run = measure(session, args, console)
    if args.save is not None:
        args.save.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    console.result(run, run_text(run))


def measure(session: Session, args: Namespace, console: Console) -> BenchRun:
    """Load the model as planned and run the tests."""
    depths = tuple(args.depths or DEPTHS)
    wanted = BenchRequest(args.prompt_tokens, args.generate_tokens, args.repeat, depths)
    target = session.find(args.model)
    name = target.name
    # What is named is measured, not the same model for a faster engine.
    engine = args.engine or (engine_for(target.installed) if target.installed else None)
    plan = session.plan(name, device=args.device, engine=engine, n_ctx=args.context)
    if args.depths is None:
        wanted = wanted.fitting(plan.placement.n_ctx)
    wanted.check(plan.placement.n_ctx)
    before = machine_load()
    report = session.load(name, plan, console.progress, CancelToken())
    plan = session.loaded.plan if session.loaded else plan
    runner = Bench(
        lambda request, cancel: session.generate(request, lambda _: None, cancel),
        session.count_tokens,
    )
    facts = machine_facts()
    started = time.time()
    rows = runner.run(wanted, console.progress, CancelToken())
    console.end_progress()
    placement = plan.placement
    return BenchRun(
        model=name,
        engine=report.engine,
        engine_version=report.engine_version,
        placement=msgspec.to_builtins(placement),
        devices=tuple(
            sorted({layer.device for layer in placement.layers} | {placement.lm_head_device})
        ),
        rows=rows,
        peak_memory=runner.peak_memory,
        load_before=before,
        load_after=machine_load(),
        started=started,
        machine=facts,
        engine_build=report.engine_build,
    )


def read_run(path: Path) -> BenchRun:
    """A saved run. Raises InvalidRequest for a file that is none, OSError for one not there."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=BenchRun)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(
            field=str(path), reason="not_a_saved_run", detail=str(error)
        ) from error
    if run.format != FORMAT:
        raise InvalidRequest(
            field=str(path), reason="other_version", value=run.format, maximum=FORMAT
        )
    return run


def run_text(run: BenchRun) -> str:
    """A run as a person reads it."""
    rows = [
        (
            row.kind,
            str(row.depth),
            str(row.tokens),
            f"{row.tps.median:.1f}",
            f"{row.tps.low:.1f} to {row.tps.high:.1f}",
        )
        for row in run.rows
    ]
    others = max(run.load_before.busy_cores, run.load_after.busy_cores)
    return (
        f"{run.model} with {run.engine} {run.engine_version} on {', '.join(run.devices)},"
        f" peak memory {format_bytes(run.peak_memory)}; other programs used"
        f" {others:.1f} cores\n"
        f"{_made_with(run)}\n" + table(("TEST", "DEPTH", "TOKENS", "TOKENS/S", "LOW TO HIGH"), rows)
    )


def _made_with(run: BenchRun) -> str:
    """Processor, engine build and graphics processors with their clocks."""
    build = run.engine_build
    parts = [f"processor {run.machine.get('processor', 'unknown')}"]
    if build:
        ggml = f"ggml {build.get('ggml_version', '')} ({build.get('ggml_commit', '')})"
        parts.append(f"{ggml}, CPU library {build.get('cpu_library', '')}")
    for gpu in run.load_after.gpus:
        parts.append(f"{gpu.name} at {gpu.core_mhz:.0f} MHz, memory {gpu.memory_mhz:.0f} MHz")
    return "; ".join((*parts, "no speculative decoding"))


def comparison_text(first: BenchRun, second: BenchRun, rows: tuple[Comparison, ...]) -> str:
    """Two runs side by side."""
    if not rows:
        return "The two runs have no test in common."
    lines = [
        (
            row.kind,
            str(row.depth),
            f"{row.first.median:.1f}",
            f"{row.second.median:.1f}",
            f"{row.ratio:.3f}",
            ("faster" if row.ratio > 1 else "slower") if row.differs else "within the spread",
        )
        for row in rows
    ]
    return f"first: {_title(first)}\nsecond: {_title(second)}\n" + table(
        ("TEST", "DEPTH", "FIRST", "SECOND", "RATIO", "VERDICT"), lines
    )


def _title(run: BenchRun) -> str:
    return f"{run.model}, {run.engine} {run.engine_version}, {run.machine.get('date', '')}"
