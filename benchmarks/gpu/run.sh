# Every figure of benchmarks/results/gpu-*: sh benchmarks/gpu/run.sh SHAPES_FOLDER RESULTS_FOLDER
# Needs llama_cpp with CUDA, llama-bench of the same source on PATH, and the project's root as the
# current folder.
set -e
mkdir -p "$1" "$2"
python3 -m benchmarks.gpu.make_shapes "$1" R1_QWEN_1_5B R1_QWEN_7B R1_QWEN_14B
python3 -m benchmarks.gpu.sampling "$1/R1_QWEN_1_5B.gguf" 28 cuda0 | tee "$2/sampling.txt"
for kind in full split partial; do
  for shape in R1_QWEN_1_5B R1_QWEN_7B R1_QWEN_14B; do
    python3 -m benchmarks.gpu.placements "$1/$shape.gguf" $shape "$2/$shape-$kind.json" --kinds $kind
  done
done
