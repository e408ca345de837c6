"""Serve the page on which people try models and tasks: files without data, which need no token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Nothing comes from elsewhere or goes there, and no text can become markup or a script.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",  # pictures that the page has fetched
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "; ".join(f"{name} {source}" for name, source in POLICY.items()),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# By path; the page itself is at the root.
FILES = {
    "/" if file.name == INDEX else f"/page/{file.name}": (file.read_bytes(), file.suffix)
    for file in FOLDER.iterdir()
    if file.suffix in MEDIA_TYPES
}


async def answer(request: Request) -> Response:
    """Return one of the files."""
    content, suffix = FILES[request.scope["path"]]
    return Response(content, headers=HEADERS, media_type=MEDIA_TYPES[suffix])
