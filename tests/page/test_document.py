import re

from prismat.page.document import document
from prismat.page.sections import data_table, figure_block


def test_what_is_plain_is_escaped_and_nothing_is_loaded():
    page = document("<script>x</script>", "a & b", "<em>yes</em>", ["", "<section>1</section>"], "end")
    assert "<script" not in page
    assert "&lt;script&gt;x" in page
    assert "a &amp; b" in page
    assert '<p class="lede"><em>yes</em></p>' in page
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=", page)
    assert page.count("<section>") == 1


def test_a_table_escapes_its_cells_and_puts_numbers_to_the_right():
    found = data_table(["Name", "Records"], [["<b>", "3"]], ["Records"])
    assert "&lt;b&gt;" in found
    assert '<td class="figure">3</td>' in found
    assert '<td class="figure">&lt;b&gt;' not in found
    assert data_table(["Name"], []) == ""


def test_no_figure_no_caption():
    assert figure_block("", "words") == ""
    assert "<figcaption>a &lt; b</figcaption>" in figure_block("<svg></svg>", "a < b", "wide")
