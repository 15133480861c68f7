import json
import re

from prismat.app.routes.pages import STATIC
from prismat.search.comparisons import DEFAULT_BLEND


def test_the_page_shows_the_weights_that_the_search_uses():
    source = (STATIC / "js" / "chips.js").read_text(encoding="utf-8")
    written = re.search(r"const USUAL = \{([^}]*)\}", source)[1]
    shown = json.loads("{" + re.sub(r"(\w+):", r'"\1":', written) + "}")
    assert shown == dict(DEFAULT_BLEND.negative)


def test_no_file_of_the_page_names_another_host():
    texts = [*STATIC.rglob("*.js"), *STATIC.rglob("*.css"), *STATIC.rglob("*.html")]
    own = [path for path in texts if "vendor" not in path.parts]
    assert len(own) > 20
    hosts = {h for path in own for h in re.findall(r"https?://[\w.-]+", path.read_text(encoding="utf-8"))}
    # Names of XML vocabularies and links that a reader may follow, nothing that is loaded.
    assert hosts <= {"http://www.w3.org"}
