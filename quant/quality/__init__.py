"""What quantization cost: divergence, perplexity, weight errors, and the texts they are measured
on."""
