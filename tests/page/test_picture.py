import xml.etree.ElementTree as ElementTree

import pytest

from prismat.page import figure
from prismat.page.picture import standalone_svg


@pytest.fixture(scope="module")
def drawn():
    shape, axes = figure.bare_axes()
    axes.plot([0, 1], [1, 0], color=figure.SERIES[0])
    figure.label_axes(axes, "k", "recall")
    return figure.inline_svg(shape, "curve", "Recall & rank by k")


def test_a_picture_file_is_whole_and_has_the_page_s_colours(drawn):
    text = standalone_svg(drawn)
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["aria-label"] == "Recall & rank by k"
    style = root[0].text
    assert style.count("--ink:") == 2
    assert "prefers-color-scheme: dark" in style
    used = {part.split(")")[0] for part in text.split("var(")[1:]}
    assert used <= {
        name.strip() for name in style.replace("{", ";").split(";") for name in name.split(":")[:1]
    }


def test_it_is_the_same_every_time_and_loads_nothing(drawn):
    assert standalone_svg(drawn) == standalone_svg(drawn)
    assert "http" not in standalone_svg(drawn).replace("http://www.w3.org/", "")
