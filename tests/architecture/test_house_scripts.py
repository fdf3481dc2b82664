"""The scripts behind `make lint` and `make docs` find what they are there to find."""

import importlib.util
import json

import pytest

from architecture import source_tree as source


def _script(name):
    spec = importlib.util.spec_from_file_location(name, source.ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def check_tree(tmp_path, monkeypatch):
    """The script, looking at an empty folder instead of the project."""
    module = _script("check_tree")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    return module


@pytest.fixture
def configuration_docs():
    return _script("write_configuration_docs")


@pytest.mark.parametrize("line", ["see https://" + "pypi" + ".org/simple", "cd /" + "work/main", "HOME=/" + "root/x"])
def test_a_registry_host_or_a_folder_of_one_machine_is_found(check_tree, tmp_path, line):
    (tmp_path / "notes.md").write_text(f"first\n{line}\n")
    assert [one.split(": ")[0] for one in check_tree.named(check_tree.Path("notes.md"))] == ["notes.md:2"]


@pytest.mark.parametrize("line", ["/var/lib/toban", "http://127.0.0.1:8420/homework/", "network/root/", "~/.config"])
def test_ordinary_places_are_left_alone(check_tree, tmp_path, line):
    (tmp_path / "notes.md").write_text(line)
    assert list(check_tree.named(check_tree.Path("notes.md"))) == []


def test_addresses_and_missing_hashes_in_lock_files_are_found(check_tree, tmp_path):
    (tmp_path / "requirements.lock").write_text("--index-url https://packages.example\na==1 \\\n    --hash=sha256:00\n")
    (tmp_path / "requirements-dev.lock").write_text("a==1 \\\n    --hash=sha256:00\nb==2\n")
    (tmp_path / "web").mkdir()
    packages = {"node_modules/a": {"resolved": "https://packages.example/a.tgz"}, "node_modules/b": {}}
    (tmp_path / "web" / "package-lock.json").write_text(json.dumps({"packages": packages}))
    assert list(check_tree.locked()) == [
        "requirements.lock: holds an address; write it with `make lock`",
        "requirements-dev.lock: no hash for b==2",
        "web/package-lock.json: node_modules/a holds an address",
    ]


def test_a_translation_that_lost_a_heading_or_a_command_is_found(check_tree, tmp_path):
    (tmp_path / "README.md").write_text("# A\n## B\n```sh\nmake demo  # try it\nmake test\n```\n")
    (tmp_path / "README.ja.md").write_text("# あ\n```sh\nmake demo  # 試す\n```\n")
    assert list(check_tree.twins()) == [
        "README.ja.md: its headings are not those of README.md",
        "README.ja.md: its commands are not those of README.md",
    ]


def test_the_configuration_page_tells_every_setting_as_it_is(configuration_docs):
    page = (source.ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert configuration_docs.rewritten(page) == page, "run `make docs`"


def test_a_setting_without_a_description_is_an_error(configuration_docs):
    class Silent(configuration_docs.BaseModel):
        """A group."""

        knob: int = 1

    with pytest.raises(LookupError, match=r"group\.knob has no description"):
        list(configuration_docs.rows("group", Silent))


def test_a_page_without_its_marks_is_an_error(configuration_docs):
    with pytest.raises(ValueError, match="lost its marks"):
        configuration_docs.rewritten("# Configuration\n")
