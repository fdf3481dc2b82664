"""The shipped page assets: light, whole, and naming no outside host."""

import gzip
import json
import re

from toban.entrypoints.http.assets import FOLDER, assets


def test_the_assets_weigh_less_than_sixty_kilobytes():
    names = [address.rpartition("/")[2] for address in (assets().script, assets().style, "/static/icon.svg")]
    assert sum(len(gzip.compress((FOLDER / name).read_bytes(), 9)) for name in names) < 60 * 1024


def test_the_manifest_names_files_that_are_there_and_no_others_are():
    named = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    built = {path.name for path in FOLDER.iterdir() if re.fullmatch(r"toban-.*\.(js|css)", path.name)}
    assert built == set(named.values())


def test_the_assets_name_no_outside_host():
    for path in FOLDER.iterdir():
        if path.suffix in {".js", ".css", ".svg"}:
            hosts = set(re.findall(r"https?://([a-z0-9.-]+)", path.read_text("utf-8")))
            assert hosts <= {"www.w3.org"}, path.name


def test_what_is_inside_has_its_licence_beside_it():
    told = (FOLDER / "LICENSES.txt").read_text("utf-8")
    assert "htmx.org 4.0.1" in told
    assert "Zero-Clause BSD" in told
