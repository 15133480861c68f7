"""From an asymmetric unit and symmetry operations to the full cell, vectorised over sites and operations."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.crystal import Crystal, Site, make_site
from prismat.errors import BadInputError

SAME_SITE = 0.1
"""Å. Images of one site that lie closer than this are one atom on a special position."""
ROUNDING = 0.04
"""Å. Coordinates of three digits put an atom no further from its special position, nor its images apart."""
FULL = 1.02
"""Occupancy up to which a site holds one atom."""

_GRID = 1e-5
_GRID_OFFSET = 0.381966
"""In grid steps: keeps coordinates that are short decimals or fractions away from the grid's borders."""
_MAX_ASYMMETRIC = 4096
_LARGEST = 1e4
_MAX_IMAGES = 1 << 20
_MAX_PAIRS = 1 << 24
"""Sites times atoms: what 4,096 atoms without symmetry need, and a second's work."""
_PAIRS_AT_ONCE = 1 << 18


def parse_operations(
    operations: list[str],
) -> tuple[Float[np.ndarray, "ops 3 3"], Float[np.ndarray, "ops 3"]]:
    """Reads operations such as ``"1/2+x,-y,z"``.

    Args:
        operations: one string for each operation, centring included, in fractional coordinates.

    Returns:
        Rotations and translations with x' = R x + t, as read-only arrays shared between equal calls.

    Raises:
        BadInputError: an operation cannot be read or its rotation part is not unimodular.
    """
    return _parse_operations(tuple(operations))


@lru_cache(maxsize=1024)
def _parse_operations(operations: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    parsed = [_parse_operation(text) for text in operations]
    if not parsed:
        raise BadInputError(
            "no symmetry operation", field="symmetry operation", remedy="Give at least 'x,y,z'."
        )
    rotations, translations = (np.stack(part) for part in zip(*parsed, strict=True))
    rotations.flags.writeable = translations.flags.writeable = False
    return rotations, translations


@lru_cache(maxsize=8192)
def _parse_operation(text: str) -> tuple[np.ndarray, np.ndarray]:
    import gemmi

    remedy = "Write it like 'x,y+1/2,-z'."
    try:
        op = gemmi.Op(text.strip())
    except (ValueError, RuntimeError) as error:
        raise BadInputError(
            f"cannot read {text[:60]!r}", field="symmetry operation", remedy=remedy
        ) from error
    rotation = np.array(op.rot, dtype=np.float64) / gemmi.Op.DEN
    if abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
        raise BadInputError(f"{text[:60]!r} does not keep volumes", field="symmetry operation", remedy=remedy)
    return rotation, np.array(op.tran, dtype=np.float64) / gemmi.Op.DEN


def expand(
    lattice: Float[np.ndarray, "3 3"],
    frac: Float[np.ndarray, "asym 3"],
    contents: list[dict[int, float]],
    rotations: Float[np.ndarray, "ops 3 3"],
    translations: Float[np.ndarray, "ops 3"],
    *,
    tolerance: float = SAME_SITE,
    keep_split: bool = False,
) -> Crystal:
    """Fills the cell from an asymmetric unit.

    A site is first moved to the mean of those of its images that coincide with it within ``tolerance``,
    that is onto its special position (projection by its site-symmetry group; International Tables for
    Crystallography A, section 1.4.4); its orbit is then exact and free of duplicates. Sites whose orbits
    coincide within ``tolerance / 10`` are one mixed site: their occupancies are added.

    Args:
        lattice: row vectors in Å.
        frac: fractional coordinates of the asymmetric unit.
        contents: {atomic number: occupancy} of each site of the asymmetric unit.
        rotations: rotation parts of all operations, centring included.
        translations: translation parts.
        tolerance: Å.
        keep_split: images further than ``ROUNDING`` apart stay apart where each holds so little that together
            they are one atom at most: a split site beside its special position, of which one image alone
            would lose atoms.

    Returns:
        The full cell, coordinates in [0, 1), ordered by site and then by operation. Not yet checked for
        overlaps and size: see ``prismat.crystal.check``.

    Raises:
        BadInputError: no sites, too many of them, numbers that are not finite, or occupancies of a site
            that are not positive or exceed 1.
    """
    _validate(lattice, frac, contents)
    _check_size(len(frac) * len(rotations), _MAX_IMAGES)
    fixed = _split(lattice, frac, contents, rotations, translations, tolerance) if keep_split else None
    placed = _onto_special_positions(lattice, frac, rotations, translations, tolerance, fixed)
    images = _wrap(_images(placed, rotations, translations))
    owner, positions = _orbits(images)
    _check_size(len(frac) * len(positions), _MAX_PAIRS)
    parent = _mixed_sites(lattice, placed, positions, owner, tolerance / 10)
    together: dict[int, list[dict[int, float]]] = {}
    for root, content in zip(parent.tolist(), contents, strict=True):
        together.setdefault(root, []).append(content)
    sites = {root: _site(shared) for root, shared in together.items()}
    kept = parent[owner] == owner
    return Crystal(
        np.asarray(lattice, np.float64), positions[kept], tuple(sites[i] for i in owner[kept].tolist())
    )


def _validate(lattice: np.ndarray, frac: np.ndarray, contents: list[dict[int, float]]) -> None:
    if len(frac) == 0:
        raise BadInputError("no atoms", field="sites", remedy="Give at least one atom with coordinates.")
    if len(frac) > _MAX_ASYMMETRIC:
        raise BadInputError(
            f"{len(frac)} sites in the asymmetric unit, more than {_MAX_ASYMMETRIC}",
            field="sites",
            remedy="Give a smaller cell.",
        )
    if len(frac) != len(contents):
        raise BadInputError(
            f"{len(frac)} positions but {len(contents)} contents", field="sites", remedy="Give one for each."
        )
    if np.abs(lattice).max() <= _LARGEST and np.abs(frac).max() <= _LARGEST:
        return
    if not (np.isfinite(lattice).all() and np.isfinite(frac).all()):
        raise BadInputError("not a finite number", field="lattice or coordinates", remedy="Correct it.")
    raise BadInputError(
        f"absurd numbers, beyond {_LARGEST:g}", field="lattice or coordinates", remedy="Correct them."
    )


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BadInputError(
            "too many sites for so many symmetry operations",
            field="sites",
            remedy="Give a smaller cell, or the sites of the asymmetric unit only.",
        )


def _images(
    frac: Float[np.ndarray, "asym 3"],
    rotations: Float[np.ndarray, "ops 3 3"],
    translations: Float[np.ndarray, "ops 3"],
) -> Float[np.ndarray, "asym ops 3"]:
    n_ops = len(rotations)
    rotated = frac @ rotations.transpose(2, 0, 1).reshape(3, n_ops * 3)
    return rotated.reshape(len(frac), n_ops, 3) + translations


def _wrap(frac: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
    """Into [0, 1); what rounding left just below 1 counts as 0."""
    frac = frac - np.floor(frac)
    frac[frac > 1 - 1e-9] = 0
    return frac


def _split(
    lattice: Float[np.ndarray, "3 3"],
    frac: Float[np.ndarray, "asym 3"],
    contents: list[dict[int, float]],
    rotations: Float[np.ndarray, "ops 3 3"],
    translations: Float[np.ndarray, "ops 3"],
    tolerance: float,
) -> Bool[np.ndarray, " asym"]:
    """Sites with images nearby that rounding does not explain and that together are one atom at most."""
    occupancy = np.array([sum(content.values()) for content in contents])
    split = 2 * occupancy <= FULL
    if not split.any():
        return split
    frac = np.asarray(frac, np.float64)[split]
    delta = _images(frac, rotations, translations) - frac[:, None]
    cartesian = (delta - np.round(delta)) @ lattice
    squared = np.einsum("aoi,aoi->ao", cartesian, cartesian)
    near = squared < tolerance**2
    furthest = np.sqrt(np.where(near, squared, 0.0).max(axis=1, initial=0.0))
    # As many operations lead to every image as leave the site where it is.
    apart = near.sum(axis=1) / (squared <= ROUNDING**2).sum(axis=1)
    split[split] = (furthest > ROUNDING) & (occupancy[split] * apart <= FULL)
    return split


def _onto_special_positions(
    lattice: Float[np.ndarray, "3 3"],
    frac: Float[np.ndarray, "asym 3"],
    rotations: Float[np.ndarray, "ops 3 3"],
    translations: Float[np.ndarray, "ops 3"],
    tolerance: float,
    fixed: Bool[np.ndarray, " asym"] | None = None,
) -> Float[np.ndarray, "asym 3"]:
    frac = np.asarray(frac, np.float64)
    # A site near a fourfold axis may see its neighbours but not its opposite within the tolerance; each
    # round moves it closer to the axis, so the whole site-symmetry group is found within three.
    for _ in range(3):
        delta = _images(frac, rotations, translations) - frac[:, None]
        delta -= np.round(delta)
        cartesian = delta @ lattice
        near = np.einsum("aoi,aoi->ao", cartesian, cartesian) < tolerance**2
        count = np.maximum(near.sum(axis=1), 1)
        shift = np.einsum("ao,aoi->ai", near.astype(np.float64), delta) / count[:, None]
        if fixed is not None:
            shift[fixed] = 0.0
        frac = frac + shift
        if np.abs(shift).max() < 1e-9:
            break
    return frac


def _orbits(
    images: Float[np.ndarray, "asym ops 3"],
) -> tuple[Int[np.ndarray, " atoms"], Float[np.ndarray, "atoms 3"]]:
    """Owner and position of each distinct image, in the order of first appearance."""
    steps = round(1 / _GRID)
    cell = np.floor(images / _GRID + _GRID_OFFSET).astype(np.int64) % steps
    owner = np.arange(len(images), dtype=np.int64)[:, None]
    # 3 × 17 bits of position and 12 bits of owner fit one integer.
    key = ((owner << 17 | cell[..., 0]) << 17 | cell[..., 1]) << 17 | cell[..., 2]
    order = np.argsort(key, axis=None, kind="stable")
    ranked = key.ravel()[order]
    first = np.sort(order[np.concatenate([[True], ranked[1:] != ranked[:-1]])])
    return first // images.shape[1], images.reshape(-1, 3)[first]


def _mixed_sites(
    lattice: Float[np.ndarray, "3 3"],
    placed: Float[np.ndarray, "asym 3"],
    positions: Float[np.ndarray, "atoms 3"],
    owner: Int[np.ndarray, " atoms"],
    tolerance: float,
) -> Int[np.ndarray, " asym"]:
    """For each site, the first site whose orbit it shares (itself where there is none)."""
    rows = max(1, _PAIRS_AT_ONCE // len(positions))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(placed), rows):
        delta = positions[None] - placed[start : start + rows, None]
        delta -= np.round(delta)
        cartesian = delta @ lattice
        same: Bool[np.ndarray, "some atoms"] = np.einsum("aoi,aoi->ao", cartesian, cartesian) < tolerance**2
        near, beside = np.nonzero(same)
        found.append((near + start, beside))
    row, atom = (np.concatenate(part) for part in zip(*found, strict=True))
    parent = np.arange(len(placed), dtype=np.int64)
    np.minimum.at(parent, owner[atom], row)
    # A chain a–b–c of positions each within the tolerance of the next ends at one root.
    while (parent[parent] != parent).any():
        parent = parent[parent]
    return parent


def _site(contents: list[dict[int, float]]) -> Site:
    if len(contents) == 1 and list(contents[0].values()) == [1.0]:
        return tuple(contents[0].items())
    return make_site(_merged(contents))


def _merged(contents: list[dict[int, float]]) -> dict[int, float]:
    total: dict[int, float] = {}
    for content in contents:
        for z, occupancy in content.items():
            total[z] = total.get(z, 0.0) + occupancy
    return total
