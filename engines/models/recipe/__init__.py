"""The recipe of the embedded model, from words to the ONNX file; see README.md. The product never imports it."""
