"""The command line: `python -m toban_sandbox serve …` and `python -m toban_sandbox scenarios`.

Started by Toban and by people. It loads the parts that serve only when they are asked for, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toban_sandbox.alerts.delivery import Receiver
    from toban_sandbox.server import Options

FAILED, NOT_FOUND, PORT_IN_USE = 1, 3, 6


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 ok, 1 failed, 2 usage, 3 unknown scenario, 6 port in use."""
    arguments = _parser().parse_args(argv)
    return _serve(arguments) if arguments.command == "serve" else _scenarios(as_json=arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m toban_sandbox", description="A simulated Kubernetes cluster with services, metrics and faults."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the sandbox on loopback sockets until it is stopped")
    serve.add_argument(
        "--state-dir", type=Path, required=True, help="where certificates, kubeconfigs and tokens are kept"
    )
    serve.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    for name, port in (("kubernetes", 8421), ("metrics", 8422), ("control", 8423)):
        help_text = f"port of the {name} API, 0 for any free one (default: %(default)s)"
        serve.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help=help_text)
    serve.add_argument("--seed", type=int, default=1, help="names, addresses and traffic follow from it (default: 1)")
    serve.add_argument(
        "--speed", type=_speed, default=1.0, help="simulated seconds per second, 0 is paused (default: 1)"
    )
    serve.add_argument("--world", default="shop", help="a world's name or a .yaml file (default: %(default)s)")
    serve.add_argument("--scenario", help="a scenario to begin at once; see `scenarios`")
    serve.add_argument(
        "--alert-url", metavar="URL", help="where notifications are posted, as Alertmanager's webhook does"
    )
    serve.add_argument(
        "--alert-token-file", type=Path, metavar="FILE", help="file with the bearer token for --alert-url"
    )
    serve.add_argument(
        "--repeat-interval", type=_seconds, default=60.0, metavar="SECONDS", help="until a firing alert is told again"
    )
    listing = commands.add_parser("scenarios", help="list the scenarios")
    listing.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:  # noqa: PLR2004 - the range of ports
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return number


def _speed(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1000:  # noqa: PLR2004 - faster than any machine follows
        raise argparse.ArgumentTypeError("must be a number from 0 to 1000")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 1e9:  # noqa: PLR2004 - a bound against nonsense
        raise argparse.ArgumentTypeError("must be a number of at least 1")
    return number


def _fail(message: object, code: int = FAILED) -> int:
    sys.stderr.write(f"toban_sandbox: {message}\n")
    return code


def _scenarios(*, as_json: bool) -> int:
    from toban_sandbox import scenario
    from toban_sandbox.documents import DocumentError

    try:
        found = [one.summary() for one in scenario.load_all()]
    except DocumentError as error:
        return _fail(error)
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    rows = [(one["name"], one["family"], "yes" if one["harmless"] else "no", one["title"]["en"]) for one in found]
    for name, family, harmless, title in [("NAME", "FAMILY", "HARMLESS", "TITLE"), *rows]:
        sys.stdout.write(f"{name:<16}{family:<15}{harmless:<10}{title}\n")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    import asyncio

    from toban_sandbox import server
    from toban_sandbox.documents import DocumentError
    from toban_sandbox.past import UnsettledError
    from toban_sandbox.scenario import UnknownScenarioError

    try:
        options = _options(arguments)
        asyncio.run(server.serve(options))
    except UnknownScenarioError as error:
        return _fail(error, NOT_FOUND)
    except server.PortInUseError as error:
        return _fail(error, PORT_IN_USE)
    except (DocumentError, UnsettledError, server.StartError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return 0
    return 0


def _options(arguments: argparse.Namespace) -> Options:
    from toban_sandbox import scenario, server, world

    return server.Options(
        state_dir=arguments.state_dir,
        world=world.load(arguments.world),
        scenario=scenario.load(arguments.scenario) if arguments.scenario else None,
        host=server.loopback(arguments.host),
        ports={name: getattr(arguments, f"{name}_port") for name in ("kubernetes", "metrics", "control")},
        seed=arguments.seed,
        speed=arguments.speed,
        receiver=_receiver(arguments),
        repeat_interval_s=arguments.repeat_interval,
    )


def _receiver(arguments: argparse.Namespace) -> Receiver | None:
    from toban_sandbox import server
    from toban_sandbox.alerts.delivery import Receiver

    if not arguments.alert_url:
        return None
    token = ""
    if arguments.alert_token_file:
        try:
            token = arguments.alert_token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise server.StartError(f"--alert-token-file {arguments.alert_token_file}: {error.strerror}") from error
    try:
        return Receiver("default", arguments.alert_url, token)
    except ValueError as error:
        raise server.StartError(f"--alert-url: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
