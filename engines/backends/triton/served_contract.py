"""What a Triton server must say of a model before its streams may be sent there, from two of its answers. PURE.

The parameters of the model's configuration are the metadata of the ONNX file under their own names, and a few more:
`tokens`, the content of tokens.txt; `model_digest`, 16 hex digits that name the weights; what is told of the model's
size and precision is for show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from engines.errors import ModelRejected
from engines.model_files import ModelLimits, declared_contract
from engines.model_tokens import parse_tokens
from engines.proto import kserve_pb2 as kserve

if TYPE_CHECKING:
    from engines.contract import ModelContract
    from engines.model_tokens import Vocabulary

MIN_IDLE_MS = 60_000
"""A sequence that pauses for longer than the server's idle time is forgotten there. Nothing that keeps its state pauses
so long: an utterance ends within 30 s, and a session without audio within `session.idle_timeout_ms`, 30 s by default.
"""

TOKENS, DIGEST = "tokens", "model_digest"
PRECISION, WEIGHTS_BYTES, STATE_BYTES = "precision", "weights_bytes", "state_bytes"
_DIGEST = re.compile(r"[0-9a-f]{16}\Z")
_VERSION = re.compile(r"[0-9]{1,19}\Z")
_FLOAT = kserve.DataType.TYPE_FP32


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model at the server that keeps the contract.

    Attributes:
        version_at_server: the number of its folder, in requests and answers.
        slots: sequences that the server advances at once; one more waits there without a word.
    """

    contract: ModelContract
    version_at_server: str
    features_input: str
    log_probabilities_output: str
    slots: int


def newest_version(metadata: kserve.ModelMetadataResponse, *, where: str) -> str:
    """Give the largest of the versions that the server has ready, by number.

    Raises:
        ModelRejected: it has none, or one that is no number.
    """
    versions = list(metadata.versions)
    if not versions or not all(_VERSION.match(version) for version in versions):
        raise ModelRejected(where, [f"the server must have a numbered version of it ready, not {versions}"])
    return max(versions, key=int)


def read_served_model(
    config: kserve.ModelConfig,
    *,
    version_at_server: str,
    max_slots: int,
    where: str,
    min_idle_ms: int = MIN_IDLE_MS,
    limits: ModelLimits | None = None,
) -> ServedModel:
    """Hold a model's configuration against what the engine needs of it.

    Args:
        where: the model's place, for who reads the mistakes.

    Raises:
        ModelRejected: it lists every mistake that could be found.
    """
    parameters = {key: parameter.string_value for key, parameter in config.parameters.items()}
    digest = parameters.get(DIGEST, "")
    mistakes = _scheduling_mistakes(config, max_slots=max_slots, min_idle_ms=min_idle_ms)
    if not _DIGEST.match(digest):
        mistakes.append(f"its parameter {DIGEST} must be 16 hex digits, not {digest[:40]!r}")
    try:
        contract = _contract(parameters, name=config.name, digest=digest, where=where, limits=limits or ModelLimits())
    except ModelRejected as error:
        raise ModelRejected(where, [*mistakes, *error.mistakes]) from error
    mistakes += _tensor_mistakes(config, contract)
    if mistakes:
        raise ModelRejected(where, mistakes)
    return ServedModel(
        contract=contract,
        version_at_server=version_at_server,
        features_input=config.input[0].name,
        log_probabilities_output=config.output[0].name,
        slots=server_slots(config),
    )


def server_slots(config: kserve.ModelConfig) -> int:
    """Sequences that all instances of a model advance at once."""
    batching = config.sequence_batching
    if batching.WhichOneof("strategy_choice") == "oldest":
        for_each = batching.oldest.max_candidate_sequences
    else:
        for_each = config.max_batch_size
    return for_each * sum(group.count * max(1, len(group.gpus)) for group in config.instance_group)


def _contract(parameters: dict[str, str], *, name: str, digest: str, where: str, limits: ModelLimits) -> ModelContract:
    def read_vocabulary(vocab_size: int | None, mistakes: list[str]) -> Vocabulary:
        content = parameters.get(TOKENS, "").encode()[: limits.max_tokens_bytes]
        return parse_tokens(f"its parameter {TOKENS}", content, vocab_size=vocab_size, mistakes=mistakes)

    contract = declared_contract(
        parameters, where=where, name=name, version=digest, read_vocabulary=read_vocabulary, limits=limits
    )
    return msgspec.structs.replace(
        contract,
        precision=parameters.get(PRECISION, contract.precision)[:40],
        weights_bytes=_number(parameters.get(WEIGHTS_BYTES, "")),
        state_bytes=_number(parameters.get(STATE_BYTES, "")),
    )


def _number(text: str) -> int:
    """Give a size that is told, 0 for one that is not."""
    return int(text) if _VERSION.match(text) else 0


def _scheduling_mistakes(config: kserve.ModelConfig, *, max_slots: int, min_idle_ms: int) -> list[str]:
    if not config.HasField("sequence_batching"):
        return ["its configuration must have sequence_batching: the state of a stream is kept at the server"]
    mistakes = []
    batching = config.sequence_batching
    if config.max_batch_size < 1:
        mistakes.append(f"max_batch_size must be 1 or more, not {config.max_batch_size}")
    if config.model_transaction_policy.decoupled:
        mistakes.append("it must not be decoupled: one request, one answer")
    idle_ms = batching.max_sequence_idle_microseconds // 1_000
    if idle_ms < min_idle_ms:
        mistakes.append(
            f"max_sequence_idle_microseconds must be {min_idle_ms}000 or more, not"
            f" {batching.max_sequence_idle_microseconds}: the server forgets a stream that pauses for longer"
        )
    if any(
        control.kind == kserve.ModelSequenceBatching.Control.CONTROL_SEQUENCE_CORRID
        and control.data_type == kserve.DataType.TYPE_STRING
        for given in batching.control_input
        for control in given.control
    ):
        mistakes.append("its correlation ids must be TYPE_UINT64, not TYPE_STRING")
    slots = server_slots(config)
    if max_slots > slots:
        mistakes.append(
            f"the server advances {slots} sequences of it at once, {max_slots} slots are asked for: a stream beyond"
            " that would wait there without a word"
        )
    return mistakes


def _tensor_mistakes(config: kserve.ModelConfig, contract: ModelContract) -> list[str]:
    required = [given for given in config.input if not given.optional]
    outputs = contract.shift_frames // contract.subsampling
    wanted_in = [contract.feature_dim, contract.window_frames]
    wanted_out = [outputs, contract.vocab_size + 1]
    mistakes = []
    if len(required) != 1 or config.input[0].optional:
        names = ", ".join(given.name for given in required) or "none"
        mistakes.append(f"its first input must be the features, and the only one that is required, not {names}")
    elif config.input[0].data_type != _FLOAT or list(config.input[0].dims) != wanted_in:
        mistakes.append(f"its input must be {_described(_FLOAT, wanted_in)}, not {_shown(config.input[0])}")
    if not config.output:
        mistakes.append("its first output must be the log-probabilities; it has none")
    elif config.output[0].data_type != _FLOAT or list(config.output[0].dims) != wanted_out:
        mistakes.append(f"its first output must be {_described(_FLOAT, wanted_out)}, not {_shown(config.output[0])}")
    return mistakes


def _shown(tensor: kserve.ModelInput | kserve.ModelOutput) -> str:
    return _described(tensor.data_type, list(tensor.dims))


def _described(data_type: int, dims: list[int]) -> str:
    return f"{kserve.DataType.Name(data_type)} {dims}"
