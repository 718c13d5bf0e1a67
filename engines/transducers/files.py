"""Transducer folders: what icefall's streaming exports must say of themselves, and every way in which they may not.

A folder holds `encoder.onnx`, `decoder.onnx`, `joiner.onnx` and `tokens.txt`, or one file of each kind under the names
of icefall's export, such as `encoder-epoch-99-avg-1.onnx`. Files are checked in three rounds, and each ends with all of
its mistakes: bytes; metadata and tokens.txt; inputs, outputs and one short trial.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engines.contract import TransducerContract
from engines.errors import ModelRejected
from engines.interface import SAMPLE_RATE_HZ
from engines.model_bytes import checked_header, files_version
from engines.model_files import MODEL_FILE, TOKENS_FILE, checked_language, raise_any
from engines.model_quantisation import precision_of
from engines.model_tokens import read_tokens
from engines.onnx_session import RUNTIME_ERRORS, first_line
from engines.transducers.networks import Networks, TransducerFiles
from engines.transducers.states import StateLimits, encoder_states, whole_number
from engines.transducers.trial import binding_mistakes, trial_mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnxruntime

_SUBSAMPLING = 4
"""Frames of 10 ms for each row; the same for all of icefall's streaming transducers."""
_USUAL_FEATURES = 80
_UNKNOWN = "<unk>"
_QUANTISED = ".int8."


@dataclass(frozen=True, slots=True)
class TransducerLimits:
    """How large a model may be; what it says of itself is held against these before anything is laid out."""

    max_file_bytes: int = 4 << 30
    """Of each file with its external data."""
    max_window_frames: int = 4_096
    max_vocab_size: int = 200_000
    max_feature_dim: int = 1_024
    max_context_size: int = 64
    max_joiner_dim: int = 1 << 16
    max_tokens_bytes: int = 16 << 20
    states: StateLimits = field(default_factory=StateLimits)


def has_transducer(folder: Path) -> bool:
    """Whether the folder holds a joiner, or another part of a transducer and no model in one file."""
    if not folder.is_dir():
        return False
    if any(folder.glob("joiner*.onnx")):
        return True
    return not (folder / MODEL_FILE).exists() and any(
        any(folder.glob(f"{part}*.onnx")) for part in TransducerFiles._fields
    )


def find_transducer_files(path: Path | str) -> TransducerFiles:
    """Give the three ONNX files of a folder, with all links resolved.

    Raises:
        ModelRejected: a file is missing, or which one is meant is not clear; it lists all of them.
    """
    mistakes: list[str] = []
    try:
        folder = Path(path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise ModelRejected(str(path), [f"it is not a folder: {error}"]) from error
    found = [_find(folder, part, mistakes) for part in TransducerFiles._fields]
    encoder, decoder, joiner = found
    if encoder is None or decoder is None or joiner is None:
        raise ModelRejected(str(path), mistakes)
    return TransducerFiles(encoder, decoder, joiner)


def _find(folder: Path, part: str, mistakes: list[str]) -> Path | None:
    """Prefer the plain name, then the only file that is not quantised, then the only file."""
    files = sorted(file for file in folder.glob(f"{part}*.onnx") if file.is_file())
    plain = [file for file in files if file.name == f"{part}.onnx"]
    full = [file for file in files if _QUANTISED not in file.name]
    for candidates in (plain, full, files):
        if len(candidates) == 1:
            return candidates[0].resolve()
    names = ", ".join(file.name for file in files)
    mistakes.append(
        f"{part}: which file is meant is not clear, rename one to {part}.onnx: {names}"
        if files
        else f"{part}: there must be a file {part}.onnx or {part}-*.onnx"
    )
    return None


def check_transducer(path: Path | str, *, limits: TransducerLimits | None = None) -> TransducerContract:
    """Read and try a transducer's folder.

    Raises:
        ModelRejected: the files break the contract; it lists every mistake that could be found.
    """
    return load_transducer(path, threads=1, limits=limits)[0]


def load_transducer(
    path: Path | str, *, threads: int, limits: TransducerLimits | None = None
) -> tuple[TransducerContract, Networks]:
    """Check a folder, and give its networks ready to run; see `check_transducer`."""
    limits = limits or TransducerLimits()
    files = find_transducer_files(path)
    folder = Path(path).resolve()
    mistakes: list[str] = []
    headers = {}
    for part, file in zip(TransducerFiles._fields, files, strict=True):
        found: list[str] = []
        headers[file] = checked_header(file, max_bytes=limits.max_file_bytes, mistakes=found)
        mistakes += [f"{part}: {mistake}" for mistake in found]
    raise_any(folder, mistakes)
    try:
        networks = Networks(files, threads=threads)
        declared = _Declared(
            networks.encoder.get_modelmeta().custom_metadata_map,
            networks.decoder.get_modelmeta().custom_metadata_map,
            networks.joiner.get_modelmeta().custom_metadata_map,
            feature_dim=_declared_dim(networks.encoder, 2),
            joiner_dim=_declared_dim(networks.joiner, 1),
        )
    except RUNTIME_ERRORS as error:
        raise ModelRejected(str(folder), [f"ONNX Runtime cannot load it: {first_line(error)}"]) from error
    contract = _declared_contract(declared, folder, files_version(headers), limits)
    raise_any(folder, binding_mistakes(networks, contract))
    raise_any(folder, trial_mistakes(networks, contract))
    contract = msgspec.structs.replace(
        contract,
        precision=precision_of(headers[files.encoder]),
        weights_bytes=sum(header.weights_bytes for header in headers.values()),
    )
    return contract, networks


class _Declared(NamedTuple):
    """What the files say of themselves: the metadata of each, and two sizes, 0 where the file leaves them open."""

    encoder: Mapping[str, str]
    decoder: Mapping[str, str]
    joiner: Mapping[str, str]
    feature_dim: int
    joiner_dim: int


def _declared_dim(session: onnxruntime.InferenceSession, axis: int) -> int:
    """Give the size of an axis of the first input; 0 where the file does not fix it."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else ()
    return shape[axis] if axis < len(shape) and isinstance(shape[axis], int) else 0


def _declared_contract(declared: _Declared, folder: Path, version: str, limits: TransducerLimits) -> TransducerContract:
    """Give the contract that the three files state."""
    mistakes: list[str] = []
    encoder = declared.encoder
    window = whole_number(encoder, "T", limits.max_window_frames, mistakes, part="encoder")
    shift = whole_number(encoder, "decode_chunk_len", limits.max_window_frames, mistakes, part="encoder")
    _check_window(window, shift, mistakes)
    feature_dim = declared.feature_dim
    if not 1 <= feature_dim <= limits.max_feature_dim:
        mistakes.append(f"encoder: its first input must fix the number of features, 1 to {limits.max_feature_dim}")
        feature_dim = _USUAL_FEATURES
    states = encoder_states(encoder, feature_dim=feature_dim, limits=limits.states, mistakes=mistakes)
    context_size = whole_number(declared.decoder, "context_size", limits.max_context_size, mistakes, part="decoder")
    vocab_size = whole_number(declared.decoder, "vocab_size", limits.max_vocab_size, mistakes, part="decoder") - 1
    joiner_dim = declared.joiner_dim
    if "joiner_dim" in declared.joiner or not joiner_dim:
        joiner_dim = whole_number(declared.joiner, "joiner_dim", limits.max_joiner_dim, mistakes, part="joiner")
    vocabulary = read_tokens(
        folder / TOKENS_FILE,
        vocab_size=vocab_size if vocab_size >= 0 else None,
        max_bytes=limits.max_tokens_bytes,
        may_have_disambiguation=True,
        mistakes=mistakes,
    )
    if vocabulary.pieces and vocabulary.blank_id != 0:
        mistakes.append(f"{TOKENS_FILE} must give the blank the number 0 in a transducer, not {vocabulary.blank_id}")
    rate = encoder.get("sample_rate", str(SAMPLE_RATE_HZ))
    if rate != str(SAMPLE_RATE_HZ):
        mistakes.append(f"encoder: sample_rate must be {SAMPLE_RATE_HZ}, not {rate[:40]!r}")
    language = checked_language(encoder, mistakes)
    raise_any(folder, mistakes)
    return TransducerContract(
        name=folder.name,
        version=version,
        language=language,
        kind=encoder["model_type"],
        window_frames=window,
        shift_frames=shift,
        subsampling=_SUBSAMPLING,
        feature_dim=feature_dim,
        vocab_size=vocab_size,
        blank_id=vocabulary.blank_id,
        unknown_id=vocabulary.pieces.index(_UNKNOWN) if _UNKNOWN in vocabulary.pieces else None,
        context_size=context_size,
        joiner_dim=joiner_dim,
        states=states,
        tokens=vocabulary.pieces,
    )


def _check_window(window: int, shift: int, mistakes: list[str]) -> None:
    if window and shift and shift > window:
        mistakes.append(f"encoder: decode_chunk_len must be at most T, {window}, not {shift}")
    if shift and shift % _SUBSAMPLING:
        mistakes.append(f"encoder: decode_chunk_len must be a multiple of {_SUBSAMPLING}, not {shift}")
