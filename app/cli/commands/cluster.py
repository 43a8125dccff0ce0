"""`plan MODEL --cluster FILE`: a model over many GPUs, for a server that we do not run."""

from argparse import Namespace

from app.cli.commands.console import Console, table
from app.planning.cluster_file import read_cluster
from app.session.session import Session
from app.wording.units import format_bytes, format_interval
from runtime.planning.cluster import ClusterPlan, Split, plan_cluster

_CAVEAT = (
    "Predicted from peak bandwidths and the share of them that is typically reached; nothing was\n"
    "measured on such machines. Speculative decoding and prefill are not included."
)


def plan(session: Session, args: Namespace, console: Console) -> None:
    """Every way to share the model out over the cluster, the fastest that fits first."""
    cluster, workload = read_cluster(args.cluster)
    model = session.planning.model(args.model)
    made = plan_cluster(model.shape, cluster, workload)
    entry = session.find(args.model).entry
    name = (entry.repositories.official if entry else None) or args.model
    command = vllm_command(name, made)
    console.result({"plan": made, "vllm": command}, cluster_text(args.model, made, command))


def cluster_text(model: str, plan: ClusterPlan, command: str) -> str:
    """A plan over a cluster as a person reads it."""
    cluster, work = plan.cluster, plan.workload
    rows = [
        (_state(plan, split), *_cells(split))
        for split in (plan.chosen, *plan.alternatives, *plan.refused)
    ]
    headings = ("", "TENSOR", "STAGES", "WEIGHTS", "KV CACHE", "OF", "TOKENS", "EACH", "TOGETHER")
    return "\n".join(
        (
            f"{model} in {work.weights} on {cluster.machines} x {cluster.gpus} {cluster.gpu}"
            f" ({format_bytes(cluster.memory)} each), {work.sequences} x {work.n_ctx} tokens:",
            table(headings, rows),
            "WEIGHTS and KV CACHE are those of the fullest GPU, in addition to"
            f" {format_bytes(plan.chosen.reserve)} for the server's own use.",
            "TOKENS is the total that all sequences together can hold.",
            _CAVEAT,
            f"vLLM:  {command}",
        )
    )


def _state(plan: ClusterPlan, split: Split) -> str:
    if split is plan.chosen:
        return "best"
    return "fits" if split.fits else "too big"


def _cells(split: Split) -> tuple[str, ...]:
    return (
        str(split.tensor),
        str(split.pipeline),
        format_bytes(split.weights),
        format_bytes(split.kv_cache),
        format_bytes(split.memory),
        str(split.longest),
        format_interval(split.decode_tps),
        format_interval(split.total_tps),
    )


def vllm_command(repository: str, plan: ClusterPlan) -> str:
    """What starts vLLM as planned; Ray carries it over several machines."""
    split, work = plan.chosen, plan.workload
    words = [
        f"vllm serve {repository}",
        f"--tensor-parallel-size {split.tensor}",
        f"--pipeline-parallel-size {split.pipeline}",
        f"--max-model-len {work.n_ctx}",
        f"--max-num-seqs {work.sequences}",
        "--reasoning-parser deepseek_r1",
    ]
    if plan.cluster.machines > 1:
        words.append("--distributed-executor-backend ray")
    return " ".join(words)
