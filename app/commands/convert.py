"""Commands that change weights: quantize."""

from argparse import Namespace
from typing import Any

from app.console import Console, table
from app.session import Session
from app.units import format_bytes, format_seconds
from runtime.jobs import CancelToken


def quantize(session: Session, args: Namespace, console: Console) -> None:
    """Quantize a model to 4 bits by role and install the result."""
    model, report = session.quantize(
        args.model, args.recipe, console.progress, CancelToken(), name=args.output
    )
    console.end_progress()
    console.result({"model": model, "report": report}, report_text(model.name, model.size, report))


def report_text(name: str, size: int, report: dict[str, Any]) -> str:
    """A QuantReport (as JSON) as a person reads it."""
    errors = report.get("error_by_role", {})
    rows = [
        (role, f"{bits:.2f}", f"{100 * errors[role]:.1f} %" if role in errors else "–")
        for role, bits in report["bits_per_weight_by_role"].items()
    ]
    return (
        f"{name} is installed: {format_bytes(size)}, {report['bits_per_weight']:.2f} bits a weight,"
        f" in {format_seconds(report['seconds'])}.\n"
        + table(("ROLE", "BITS PER WEIGHT", "RELATIVE ERROR"), rows)
    )
