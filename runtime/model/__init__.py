"""Header facts of models on disk or elsewhere, without their weights.

Architecture numbers themselves are `runtime.shape`; reading tensors is `quant.checkpoint`.
"""
