proto:  ## Generate the code of the two .proto files
	.venv/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. \
	  engines/proto/engine.proto gateway/wire/proto/speech.proto
