"""The engine ONNX Runtime for split folders, on the CPU or an execution provider.

All but descriptor and formula is imported in worker and job processes only. Which providers there
are is data in `runtime.machine.providers`.
"""
