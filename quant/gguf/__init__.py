"""From a checkpoint to a GGUF file: names, metadata, tokenizer, importance, the writer.

Reading a GGUF file is `quant.checkpoint`; ONNX folders are `quant.onnx`.
"""
