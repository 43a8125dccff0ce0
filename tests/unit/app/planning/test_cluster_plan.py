"""Plans over many GPUs: bytes that can be reckoned by hand, and what makes a split slower."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.commands.cluster import vllm_command
from app.errors import SettingsError
from app.library.catalog import entry_named, load_catalog
from app.planning.cluster_file import read_cluster
from app.wording.explain import explain
from runtime.errors import DoesNotFit, InvalidRequest
from runtime.planning.cluster import Cluster, Workload, machines_needed, plan_cluster, stage_blocks

R1 = entry_named(load_catalog(), "deepseek-r1").shape
H200 = Cluster(1, 8, 141_000_000_000, 4.8e12, 450e9, 12e-6, 50e9, 30e-6, "H200")
DOCUMENTED = (Path(__file__).parents[4] / "docs" / "clusters.md").read_text("utf-8")


def test_r1_on_eight_gpus_takes_an_eighth_of_its_bytes_each() -> None:
    made = plan_cluster(R1, H200, Workload())
    assert (made.chosen.tensor, made.chosen.pipeline) == (8, 1)
    assert made.chosen.weights * 8 == pytest.approx(671e9, rel=0.01)
    # 61 blocks x (512 + 64) values x 2 bytes a token, on every rank: a latent is not shared out
    assert made.chosen.kv_cache == 61 * 576 * 2 * 32768
    assert made.chosen.fits
    assert made.refused == ()
    ways = {(split.tensor, split.pipeline) for split in (made.chosen, *made.alternatives)}
    assert ways == {(8, 1), (4, 2), (2, 4), (1, 8)}


def test_a_full_gpu_holds_as_many_tokens_as_are_said() -> None:
    longest = plan_cluster(R1, H200, Workload()).chosen.longest
    for sequences, fits in ((longest // 32768, True), (longest // 32768 + 1, False)):
        made = plan_cluster(R1, H200, Workload(sequences=sequences))
        all_splits = (made.chosen, *made.alternatives, *made.refused)
        assert next(s for s in all_splits if s.tensor == 8).fits is fits


def test_too_few_gpus_say_how_many_machines_would_do() -> None:
    small = replace(H200, memory=80_000_000_000)
    with pytest.raises(DoesNotFit) as raised:
        plan_cluster(R1, small, Workload())
    assert raised.value.facts["suggestion"] == {"machines": 2}
    assert "2 such machines" in explain(raised.value).hint
    assert plan_cluster(R1, replace(small, machines=2), Workload()).chosen.fits
    assert machines_needed(R1, replace(H200, memory=5_000_000_000), Workload()) is None


def test_what_makes_a_split_slower() -> None:
    def each(cluster: Cluster, work: Workload) -> float:
        return plan_cluster(R1, cluster, work).chosen.decode_tps.median

    plain = each(H200, Workload())
    assert each(replace(H200, bandwidth=2.4e12), Workload()) < plain
    assert each(replace(H200, link_seconds=60e-6), Workload()) < plain
    assert each(H200, Workload(n_ctx=131072)) < plain
    many = plan_cluster(R1, H200, Workload(sequences=8)).chosen
    assert many.decode_tps.median < plain < many.total_tps.median < 8 * plain


def test_blocks_are_shared_out_evenly() -> None:
    stages = stage_blocks(61, 4)
    assert [len(stage) for stage in stages] == [15, 16, 15, 15]
    assert [block for stage in stages for block in stage] == list(range(61))


def test_senseless_requests_are_refused() -> None:
    for work in (Workload(weights="FP7"), Workload(n_ctx=10**7), Workload(sequences=0)):
        with pytest.raises(InvalidRequest):
            plan_cluster(R1, H200, work)
    with pytest.raises(InvalidRequest):
        plan_cluster(R1, replace(H200, gpus=67), Workload())


def test_the_documented_file_is_read_and_its_command_is_the_one_printed(tmp_path: Path) -> None:
    text = DOCUMENTED.split("```toml\n")[1].split("```")[0]
    file = tmp_path / "cluster.toml"
    file.write_text(text.replace("sequences = 1 ", "sequences = 16 "))
    cluster, work = read_cluster(file)
    assert (cluster.total, cluster.link_seconds, work.sequences) == (16, 12e-6, 16)
    made = plan_cluster(R1, cluster, work)
    split = next(s for s in (made.chosen, *made.alternatives) if s.tensor == 8)
    command = vllm_command("deepseek-ai/DeepSeek-R1", replace(made, chosen=split))
    shown = DOCUMENTED.replace("\\\n", "")
    assert all(word in shown for word in command.split())


@pytest.mark.parametrize(
    "text", ["gpus_per_machine = 8", "nonsense", "gpus_per_machine = 8\ngpu_memory = 1"]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        read_cluster(file)
