"""The colours of a map, the same on its page and in its pictures."""

CLUSTERS = (
    *(
        "#2a5b8c",
        "#b0532c",
        "#47794a",
        "#76589a",
        "#b8962c",
        "#2f8587",
        "#a8436b",
        "#6b7d2a",
        "#5b8fcc",
        "#d3884a",
    ),
    *(
        "#7fa65c",
        "#a583cb",
        "#8c6d4f",
        "#53aeb0",
        "#d67c96",
        "#8a3b2e",
        "#5f6577",
        "#c9b458",
        "#3f9c78",
        "#c95f50",
    ),
)
"""Twenty that stand apart from their neighbours in the list, of the house's own six and their kin."""

HEAT = {
    "light": ("#e6e4dc", "#ecd9b0", "#e3a45c", "#c2552c", "#7c1d2a"),
    "dark": ("#2a2e35", "#4a3440", "#94423c", "#dd7f45", "#ffe09a"),
}
HEAT_ENDS = (30, 99.5)
"""Percentiles of the cosines at which the scale of heat begins and ends: the cold stays in the background."""
NUMBERS = {
    "light": ("#3d2c66", "#2f5f92", "#2f8f8a", "#7dba57", "#e8cf4a"),
    "dark": ("#6a5aa8", "#4c86c0", "#45b0a4", "#95cf68", "#f3dd62"),
}


def lighter(colour: str, share: float = 0.3) -> str:
    """A colour mixed with white, for dark paper."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(c + (255 - c) * share):02x}" for c in parts)


PALETTE = {"light": CLUSTERS, "dark": tuple(lighter(c) for c in CLUSTERS)}
