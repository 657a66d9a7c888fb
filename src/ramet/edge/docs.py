"""The page at /docs: the endpoints of /openapi.json, their schemas, a form to try each. One file, nothing from elsewhere."""

from pathlib import Path

DOCS_PAGE = (Path(__file__).parent / "docs.html").read_bytes()
