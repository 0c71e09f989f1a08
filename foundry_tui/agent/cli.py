"""The command line of the agent."""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import socket
import sys
from pathlib import Path

from foundry_tui import __version__
from foundry_tui.agent.log import narrate
from foundry_tui.agent.serving import textfile
from foundry_tui.agent.serving.access import Access, Unusable, listener
from foundry_tui.agent.serving.run import Agent, once, serve, write_file
from foundry_tui.agent.serving.supervise import Supervisor

PORT = 9470
EPILOG = """exit codes: 0 done, 1 failed, 2 wrong use, 3 no GPU can be read (--once)"""
UNIT = "foundry-agent.service"


def parser(prog: str) -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog=prog,
        epilog=EPILOG,
        description="What the GPUs of this host do, as Prometheus text with the names of "
        "dcgm-exporter: /metrics on a port, a file for node_exporter, or once on standard output.",
    )
    add = made.add_argument
    add(
        "--listen",
        metavar="HOST:PORT",
        default=f"127.0.0.1:{PORT}",
        help="address of the page (%(default)s)",
    )
    add("--token-file", metavar="FILE", help="ask readers for this bearer token (mode 0600)")
    add("--tls-cert", metavar="FILE", help="certificate for TLS, PEM")
    add("--tls-key", metavar="FILE", help="its private key, PEM")
    add("--client-ca", metavar="FILE", help="ask readers for a certificate of this CA (mTLS)")
    add("--insecure", action="store_true", help="let other hosts read without TLS and token")
    add(
        "--jobs",
        action="store_true",
        help="tell runs and users to those who need no token or certificate, and in the file",
    )
    add("--once", action="store_true", help="print the page after one reading and end")
    add("--textfile", metavar="DIR", help=f"keep DIR/{textfile.NAME} up to date; opens no port")
    add("--hostname", metavar="NAME", help="label Hostname (the short name of this host)")
    add(
        "--interval",
        metavar="S",
        type=float,
        default=10.0,
        help="seconds between readings (%(default)g)",
    )
    add("--unit", action="store_true", help="print a unit for systemd and end")
    add("--build-zipapp", metavar="FILE", help="write the agent as one file for Python 3.9+")
    add("--version", action="version", version=f"foundry agent {__version__}")
    return made


def main(argv: list[str], prog: str = "foundry agent") -> int:
    """Run the agent; the exit code."""
    made = parser(prog)
    try:
        given = made.parse_args(argv)
        if not 0.1 <= given.interval <= 60:
            made.error(f"--interval {given.interval:g}: 0.1 to 60 seconds")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    try:
        return _run(given)
    except Unusable as error:
        narrate(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        narrate(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 1


def _run(given: argparse.Namespace) -> int:
    if given.unit:
        sys.stdout.write((pkgutil.get_data("foundry_tui.agent", UNIT) or b"").decode())
        return 0
    if given.build_zipapp:
        from foundry_tui.agent.zipapp import build

        build(Path(given.build_zipapp))
        return 0
    if given.textfile is not None:
        _check_textfile(given)
    host = given.hostname or socket.gethostname().partition(".")[0]
    if given.once:
        return _once(given, host)
    if given.textfile is not None:
        agent = Agent(Supervisor(given.interval), host, given.jobs)
        asyncio.run(write_file(agent, given.textfile, given.interval))
        return 0
    access = Access(given.token_file, given.tls_cert, given.tls_key, given.client_ca)
    if given.jobs and given.insecure and not access.checked:
        raise Unusable(
            "--jobs and --insecure: who works here is for readers that show who they are"
        )
    listening = listener(given.listen, access, insecure=given.insecure)
    agent = Agent(Supervisor(given.interval), host, given.jobs or access.checked)
    asyncio.run(serve(agent, access, listening))
    return 0


def _check_textfile(given: argparse.Namespace) -> None:
    if not Path(given.textfile).is_dir():
        raise Unusable(f"--textfile {given.textfile}: there is no such folder")
    for name in ("token_file", "tls_cert", "tls_key", "client_ca", "insecure"):
        if getattr(given, name):
            option = f"--{name.replace('_', '-')}"
            raise Unusable(f"--textfile opens no port; leave out {option}, which is for readers")


def _once(given: argparse.Namespace, host: str) -> int:
    """One page. Whoever asks at the terminal could list the processes himself."""
    jobs = given.jobs or given.textfile is None
    page, why = asyncio.run(once(host, jobs=jobs))
    if given.textfile is not None:
        textfile.write(given.textfile, page)
    else:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
    if why is not None:
        narrate(why)
        return 3
    return 0
