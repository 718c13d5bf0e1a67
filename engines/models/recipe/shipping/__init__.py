"""From weights to what is published: the ONNX file, its test sets, its error rates, the recordings."""
