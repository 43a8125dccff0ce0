"""A costlier result replaces the cheaper one only where it measurably wins."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.quantizing.gate import cheaper_recipe, convert_gated
from quant.estimate import Estimate
from quant.quality.figures import PairedReport, QualityReport
from quant.recipe import QuantReport, recipe_named
from runtime.process.job_values import QuantizeArgs


@dataclass
class Bench:
    """Conversions that write their recipe's name, and a comparison with a set difference."""

    difference: Estimate
    made: list[QuantizeArgs] = field(default_factory=list)

    def convert(self, args: QuantizeArgs) -> QuantReport:
        self.made.append(args)
        if args.recipe.family == "onnx":
            args.target.mkdir()
            (args.target / "weights").write_text(args.recipe.method)
        else:
            args.target.write_text(args.recipe.method)
        return QuantReport(
            str(args.source), str(args.target), args.recipe.name, args.recipe.method, (), 9, 5, 2.0
        )

    def compare(self, source: Path, costlier: Path, cheaper: Path) -> PairedReport:
        assert costlier.exists()
        assert cheaper.exists()
        high = self.difference.high
        some = Estimate(0.1)
        report = QualityReport(
            str(source), "", 100, 100, some, some, some, some, some, some, "close", ()
        )
        return PairedReport(
            report,
            report,
            "first" if high is not None and high < 0 else "neither",
            self.difference,
            Estimate(0.0),
            (),
        )


BETTER, UNCLEAR = Estimate(-0.1, -0.12, -0.08), Estimate(-0.01, -0.04, 0.02)


@pytest.mark.parametrize("name", ["q4_0-feedback", "onnx-q4-b128-asym-feedback"])
@pytest.mark.parametrize(("difference", "kept"), [(BETTER, "feedback"), (UNCLEAR, "search")])
def test_the_better_result_is_left_alone(
    name: str, difference: Estimate, kept: str, tmp_path: Path
) -> None:
    bench, folder = Bench(difference), tmp_path / "beside"
    folder.mkdir()
    target = tmp_path / "out"
    args = QuantizeArgs(tmp_path / "source", target, recipe_named(name))
    report = convert_gated(args, folder, bench.convert, bench.compare)
    found = (target / "weights") if target.is_dir() else target
    assert found.read_text() == report.method == kept
    assert report.target == str(target)
    assert report.seconds == 4
    assert report.choice is not None
    assert report.choice.costlier_kept == (kept == "feedback")
    assert not list(folder.iterdir())
    assert [made.calibrate for made in bench.made] == [False, True]


def test_what_has_no_cheaper_form_is_made_once(tmp_path: Path) -> None:
    bench = Bench(BETTER)
    args = QuantizeArgs(tmp_path / "source", tmp_path / "out", recipe_named("q4_k_m"))
    report = convert_gated(args, tmp_path, bench.convert, bench.compare)
    assert report.choice is None
    assert len(bench.made) == 1


def test_a_comparison_that_fails_leaves_nothing_beside(tmp_path: Path) -> None:
    bench, folder = Bench(BETTER), tmp_path / "beside"
    folder.mkdir()

    def fail(source: Path, costlier: Path, cheaper: Path) -> PairedReport:
        raise RuntimeError("no room")

    args = QuantizeArgs(tmp_path / "source", tmp_path / "out", recipe_named("q4_0-feedback"))
    with pytest.raises(RuntimeError, match="no room"):
        convert_gated(args, folder, bench.convert, fail)
    assert not list(folder.iterdir())


def test_the_cheaper_recipe_has_the_same_formats() -> None:
    costlier = recipe_named("q4_k_m-feedback")
    cheaper = cheaper_recipe(costlier)
    assert cheaper is not None
    assert (cheaper.name, cheaper.method) == ("q4_k_m", "search")
    assert cheaper.formats == costlier.formats
    assert cheaper.overrides == costlier.overrides
