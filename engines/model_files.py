"""Model files: what a streaming CTC model must say of itself, and every way in which it may not.

The contract is the one of NVIDIA NeMo's cache-aware streaming CTC models as exported for sherpa-onnx: inputs and
outputs are bound by position, sizes are metadata, pieces are in tokens.txt beside the model
(sherpa-onnx/csrc/online-nemo-ctc-model.cc and symbol-table.cc, github.com/k2-fsa/sherpa-onnx).

A file is checked in three rounds, and each ends with all of its mistakes: the bytes and tokens.txt without running
anything; what ONNX Runtime says of inputs and outputs; one short warm-up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.contract import ModelContract
from engines.errors import ModelRejected
from engines.interface import SAMPLE_RATE_HZ
from engines.model_bytes import checked_header, files_version
from engines.model_quantisation import precision_of
from engines.model_tokens import Vocabulary, read_tokens
from engines.model_warm_up import binding_mistakes, state_bytes, warm_up_mistakes
from engines.onnx_session import RUNTIME_ERRORS, first_line, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODEL_FILE = "model.onnx"
TOKENS_FILE = "tokens.txt"

INTEGER = re.compile(r"-?[0-9]{1,12}\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}\Z")

# What engines/recognition/features.py computes. A model that says it was trained on something else is refused.
_FEATURES = {
    "feature_window": "hann",
    "feature_low_freq": "0",
    "feature_high_freq": "8000",
    "feature_mel": "librosa_slaney",
    "feature_remove_dc_offset": "0",
    "feature_preemph": "0.97",
    "feature_snip_edges": "0",
    "feature_dither": "0",
}


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """How large a model may be; whatever it says of itself is held against these before anything is allocated."""

    max_file_bytes: int = 4 << 30
    """Of the model and its external data together."""
    max_cache_bytes: int = 64 << 20
    """State of one stream."""
    max_window_frames: int = 4_096
    max_vocab_size: int = 200_000
    max_feature_dim: int = 1_024
    max_tokens_bytes: int = 16 << 20


def check_model(path: Path | str, *, limits: ModelLimits | None = None) -> ModelContract:
    """Read and try a model: a folder that holds `model.onnx` and `tokens.txt`, or an ONNX file beside its tokens.txt.

    Raises:
        ModelRejected: the files break the contract; it lists every mistake that could be found.
    """
    limits = limits or ModelLimits()
    model_file = find_model_file(path)
    mistakes: list[str] = []
    header = checked_header(model_file, max_bytes=limits.max_file_bytes, mistakes=mistakes)
    raise_any(model_file, mistakes)
    try:
        session = open_session(model_file, threads=1)
        metadata = session.get_modelmeta().custom_metadata_map
    except RUNTIME_ERRORS as error:
        raise ModelRejected(str(model_file), [f"ONNX Runtime cannot load it: {first_line(error)}"]) from error
    tokens_file = model_file.parent / TOKENS_FILE

    def read_vocabulary(vocab_size: int | None, mistakes: list[str]) -> Vocabulary:
        return read_tokens(tokens_file, vocab_size=vocab_size, max_bytes=limits.max_tokens_bytes, mistakes=mistakes)

    contract = declared_contract(
        metadata,
        where=str(model_file),
        name=model_file.parent.name if model_file.name == MODEL_FILE else model_file.stem,
        version=files_version({model_file: header}),
        read_vocabulary=read_vocabulary,
        limits=limits,
    )
    raise_any(model_file, binding_mistakes(session, contract))
    raise_any(model_file, warm_up_mistakes(session, contract))
    return msgspec.structs.replace(
        contract,
        precision=precision_of(header),
        weights_bytes=header.weights_bytes,
        state_bytes=state_bytes(session, contract),
    )


def declared_contract(
    metadata: Mapping[str, str],
    *,
    where: str,
    name: str,
    version: str,
    read_vocabulary: Callable[[int | None, list[str]], Vocabulary],
    limits: ModelLimits,
) -> ModelContract:
    """Give the contract that a model's metadata states.

    Args:
        where: the model's place, for who reads the mistakes.
        read_vocabulary: gives the pieces for a `vocab_size`, which is None where the metadata does not say; what is
            wrong with them it appends to the list.

    Raises:
        ModelRejected: it lists everything that is missing or beyond the limits.
    """
    mistakes: list[str] = []
    sizes = _checked_sizes(metadata, limits, mistakes)
    vocabulary = read_vocabulary(sizes.get("vocab_size"), mistakes)
    _check_declared_features(metadata, mistakes)
    language = checked_language(metadata, mistakes)
    if mistakes:
        raise ModelRejected(where, mistakes)
    return ModelContract(
        name=name,
        version=version,
        language=language,
        window_frames=sizes["window_size"],
        shift_frames=sizes["chunk_shift"],
        subsampling=sizes["subsampling_factor"],
        feature_dim=sizes["feature_dim"],
        vocab_size=sizes["vocab_size"],
        blank_id=vocabulary.blank_id,
        cache_channel_shape=_shape(sizes, "cache_last_channel"),
        cache_time_shape=_shape(sizes, "cache_last_time"),
        tokens=vocabulary.pieces,
    )


def find_model_file(path: Path | str) -> Path:
    """Give the ONNX file that `path` means, with all links resolved.

    Raises:
        ModelRejected: there is none.
    """
    try:
        given = Path(path).resolve(strict=True)
        found = (given / MODEL_FILE).resolve(strict=True) if given.is_dir() else given
        is_file = found.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise ModelRejected(
            str(path), [f"it is neither a model file nor a folder with {MODEL_FILE}: {error}"]
        ) from error
    if not is_file:
        raise ModelRejected(str(path), [f"{found} is not a regular file"])
    return found


def _checked_sizes(metadata: Mapping[str, str], limits: ModelLimits, mistakes: list[str]) -> dict[str, int]:
    """Give every number that is given and sane; `feature_dim` is 80 unless the file says otherwise."""
    highest = {
        "window_size": limits.max_window_frames,
        "chunk_shift": limits.max_window_frames,
        "subsampling_factor": limits.max_window_frames,
        "vocab_size": limits.max_vocab_size,
        "feature_dim": limits.max_feature_dim,
    }
    for cache in ("cache_last_channel", "cache_last_time"):
        highest.update({f"{cache}_dim{axis}": limits.max_cache_bytes for axis in (1, 2, 3)})
    sizes = {}
    for key, maximum in highest.items():
        text = metadata.get(key, "80" if key == "feature_dim" else None)
        if text is None:
            mistakes.append(f"its metadata must give {key}")
        elif not INTEGER.match(text):
            mistakes.append(f"{key} must be a whole number, not {text[:40]!r}")
        elif not 1 <= int(text) <= maximum:
            mistakes.append(f"{key} must be 1 to {maximum}, not {int(text)}")
        else:
            sizes[key] = int(text)
    _check_sizes_together(sizes, limits, mistakes)
    return sizes


def _check_sizes_together(sizes: dict[str, int], limits: ModelLimits, mistakes: list[str]) -> None:
    window, shift, subsampling = (sizes.get(key) for key in ("window_size", "chunk_shift", "subsampling_factor"))
    if window and shift and shift > window:
        mistakes.append(f"chunk_shift must be at most window_size, {window}, not {shift}")
    if shift and subsampling and shift % subsampling:
        mistakes.append(f"chunk_shift must be a multiple of subsampling_factor, {subsampling}, not {shift}")
    cache_bytes = 0
    for cache in ("cache_last_channel", "cache_last_time"):
        dims = [sizes.get(f"{cache}_dim{axis}", 0) for axis in (1, 2, 3)]
        cache_bytes += 4 * dims[0] * dims[1] * dims[2]
    if cache_bytes > limits.max_cache_bytes:
        mistakes.append(f"its caches take {cache_bytes} bytes a stream, at most {limits.max_cache_bytes} are allowed")


def _check_declared_features(metadata: Mapping[str, str], mistakes: list[str]) -> None:
    """Hold what the file says of its features against what is computed; saying nothing is fine."""
    rate = metadata.get("sample_rate", str(SAMPLE_RATE_HZ))
    if rate != str(SAMPLE_RATE_HZ):
        mistakes.append(f"sample_rate must be {SAMPLE_RATE_HZ}, not {rate[:40]!r}")
    if metadata.get("normalize_type", "") not in ("", "NA"):
        mistakes.append(
            f"normalize_type must be empty or NA in a streaming model, not {metadata['normalize_type'][:40]!r}"
        )
    for key, ours in _FEATURES.items():
        theirs = metadata.get(key, ours)
        if not _is_same_setting(ours, theirs):
            mistakes.append(f"{key} must be {ours}, not {theirs[:40]!r}")


def _is_same_setting(ours: str, theirs: str) -> bool:
    try:
        return float(ours) == float(theirs)
    except ValueError:
        return ours == theirs


def checked_language(metadata: Mapping[str, str], mistakes: list[str]) -> str:
    """Give a BCP 47 tag, or nothing for a file that does not say."""
    language = metadata.get("language", "")
    if language and not _LANGUAGE.match(language):
        mistakes.append(f"language must be a BCP 47 tag such as en or en-US, not {language[:40]!r}")
    return language


def _shape(sizes: dict[str, int], cache: str) -> tuple[int, int, int]:
    return sizes[f"{cache}_dim1"], sizes[f"{cache}_dim2"], sizes[f"{cache}_dim3"]


def raise_any(where: Path, mistakes: list[str]) -> None:
    """Refuse the model if anything is wrong with it."""
    if mistakes:
        raise ModelRejected(str(where), mistakes)
