"""The kubectl commands of a working day against one served sandbox: our own list, and a real server's answers to its."""

import os
import re
import shlex
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import commands
from support.cluster import KUBECTL, served

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TOBAN_SHARED", ROOT.parent / "shared"))
ENOUGH_OF_THE_REAL_LIST = 0.98
_CASE = re.compile(r"^#(\d+) rc=(\d+) kubectl (.*)\n((?:    .*\n?)*)", re.MULTILINE)
_UNQUOTED = re.compile(r"(?P<before>.* )(?P<option>-p |-o jsonpath=|-l )(?P<rest>.*)\Z")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with served(tmp_path_factory.mktemp("commands"), speed=10) as found:
        yield found


def run(sandbox, words, text=""):
    """The exit code and everything that was printed."""
    kubeconfig = sandbox.kubeconfigs["admin"]
    done = subprocess.run(
        [str(KUBECTL), *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "HOME": str(kubeconfig.parent),
            "KUBE_EDITOR": "sed -i s/replaced/edited/",
        },
    )
    return done.returncode, done.stdout + done.stderr


def lane(sandbox, name):
    """What differs in one lane, in words."""
    namespace = f"day-{name}"
    run(sandbox, ["create", "namespace", namespace])
    wrong = []
    for wanted, line, pattern in commands.LANES[name]:
        command, _, source = line.partition(" < ")
        words = shlex.split(command.replace("{ns}", namespace))
        code, printed = run(sandbox, ["-n", namespace, *words], commands.INPUTS.get(source, ""))
        if code != wanted or not re.search(pattern, printed):
            wrong.append(f"kubectl {line}: exit code {code}, not {wanted}, or not like {pattern!r}:\n{printed[-600:]}")
    return wrong


def test_a_working_day_of_commands_is_answered_as_a_cluster_answers(sandbox):
    assert sum(len(found) for found in commands.LANES.values()) >= 100
    with ThreadPoolExecutor(3) as pool:
        wrong = [one for found in pool.map(lambda name: lane(sandbox, name), commands.LANES) for one in found]
    assert wrong == []


def words_of(command):
    """The words of a command that the real list writes without its quotes."""
    found = _UNQUOTED.match(command)
    if found is None or not re.search(r"[{(]", found["rest"]):
        return command.split()
    before, rest = found["before"].split(), found["rest"]
    if found["option"] == "-l ":
        selector, _, form = rest.partition(" -o ")
        return [*before, "-l", selector, "-o", form]
    return [*before, "-p", rest] if found["option"] == "-p " else [*before, "-o", f"jsonpath={rest}"]


def normalised(command, printed):
    """What can be compared: names and times made equal, and of a rollout or a log only how it ends."""
    text = re.sub(r"\bweb-[a-z0-9]{8,10}(-[a-z0-9]{5})?\b", "web-HASH", printed)
    text = re.sub(r"\b\d+(m\d+)?s\b", "Ns", text)
    lines = [re.sub(r" +", " ", line).strip() for line in text.splitlines() if line.strip()]
    if " logs " in command:
        return [line for line in lines if line.startswith("Found")] and ["Found"]
    if " get rs " in command:
        return sorted(set(lines))  # their order is that of their hashes, which are not the same
    return lines[-1:] if "rollout status" in command and "successfully" in lines[-1] else lines[:6]


def differs(command, wanted, printed):
    if "rollout status" in command and "successfully" not in wanted[-1]:
        return "successfully rolled out" not in printed  # the list shows no more than the first six lines
    return normalised(command, printed) != normalised(command, "\n".join(wanted))


def test_a_real_servers_answers_are_given_again(sandbox):
    path = SHARED / "k8s" / "real-commands.txt"
    if not path.exists():
        # The list is lent, not part of the project; our own list above always runs.
        warnings.warn(f"no list of a real server's answers at {path}: set TOBAN_SHARED to compare", stacklevel=1)
        assert commands.LANES
        return
    cases = _CASE.findall(path.read_text(encoding="utf-8"))
    assert cases
    wrong = []
    for number, code, command, answer in cases:
        got, printed = run(sandbox, words_of(command))
        if got != int(code) or differs(command, [line.strip() for line in answer.splitlines()], printed):
            wrong.append(f"#{number} kubectl {command}: exit code {got}\n{printed[-400:]}")
    assert len(wrong) <= len(cases) * (1 - ENOUGH_OF_THE_REAL_LIST), "\n".join(wrong)
