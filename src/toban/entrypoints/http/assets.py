"""The pages' script and style: hashed files inside the package, kept by browsers for good. Built by `web/`."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Assets:
    """Addresses of the script and the style."""

    script: str
    style: str


@cache
def assets() -> Assets:
    """What `manifest.json` names."""
    names = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    return Assets(f"/static/{names['script']}", f"/static/{names['style']}")


class Static(StaticFiles):
    """Files whose names carry their hash never change; the few others are asked for again each hour."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        response = await super().get_response(path, scope)
        fixed = Path(path).name in {Path(assets().script).name, Path(assets().style).name}
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if fixed else "public, max-age=3600"
        return response
