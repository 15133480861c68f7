"""What the endpoint says of itself: versions, entry types, properties, links.

OPTIMADE specification v1.2, "Info Endpoints" and "Links Endpoint".
"""

from typing import Any

from prismat.app.optimade.envelope import PROVIDER
from prismat.app.optimade.library import Library
from prismat.app.optimade.listing import VERSION

VERSIONS = "version\n1\n"
"""Major versions served, as CSV."""


def base_info(base: str, library: Library) -> dict[str, Any]:
    """Data of /info."""
    store = library.store.info if library.store is not None else {}
    attributes = {
        "api_version": VERSION,
        "available_api_versions": [{"url": f"{base}/v1", "version": VERSION}],
        "formats": ["json"],
        "available_endpoints": ["info", "links", "structures"],
        "entry_types_by_format": {"json": ["structures"]},
        "is_index": False,
        # Terms of the data are told in words: whoever serves them knows more than their names.
        "license": None,
        "available_licenses": None,
        "available_licenses_for_entries": None,
        "_prismat_licence": store.get("licence"),
        "_prismat_citation": store.get("citation"),
    }
    return {"id": "/", "type": "info", "attributes": attributes}


def structures_info(library: Library) -> dict[str, Any]:
    """Data of /info/structures: the properties, their types and units."""
    properties = {
        field.name: {
            "description": field.description,
            "type": field.type,
            "sortable": field.sortable,
            **({"unit": field.unit} if field.unit else {}),
        }
        for field in library.fields.values()
    }
    return {
        "id": "structures",
        "type": "info",
        "formats": ["json"],
        "description": "Crystal structures of the index, each in its primitive cell.",
        "properties": properties,
        "output_fields_by_format": {"json": list(properties)},
    }


def links(base: str) -> list[dict[str, Any]]:
    """Data of /links: this server, and the list of providers."""
    root = {
        "name": PROVIDER["name"],
        "description": PROVIDER["description"],
        "base_url": base,
        "homepage": None,
        "link_type": "root",
    }
    providers = {
        "name": "Materials Consortia",
        "description": "List of OPTIMADE providers maintained by the Materials Consortia",
        "base_url": "https://providers.optimade.org",
        "homepage": "https://www.optimade.org",
        "link_type": "providers",
    }
    return [
        {"id": "prismat", "type": "links", "attributes": root},
        {"id": "optimade", "type": "links", "attributes": providers},
    ]
