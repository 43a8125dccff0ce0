"""What quantization cost: divergence, perplexity, weight errors, and the texts for it.

Takes logits from whoever computes them; knows no engine.
"""
