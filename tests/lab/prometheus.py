"""A real Prometheus server for the tests: Debian's, with its own folder, port and targets."""

import json
import shutil
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.lab.daemons import Daemon, LabError, accepts_connections, call, free_ports

JOB = "foundry"
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

CONFIG = """\
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
scrape_configs:
  - job_name: {job}
    honor_labels: true
    file_sd_configs:
      - files: ["{targets}"]
        refresh_interval: 1s
"""


def missing() -> str | None:
    """Why there is no Prometheus; None when there is."""
    absent = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    return f"no {' and no '.join(absent)} on the PATH (Debian: prometheus)" if absent else None


def promtool(*words: str, given: bytes = b"", cwd: Path = Path("/")) -> tuple[int, str]:
    """Exit code and words of `promtool`, with `given` on its standard input."""
    done = call(["promtool", *words], ENV, cwd=cwd, check=False, timeout_s=60, input=given)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@dataclass(slots=True)
class PrometheusLab:
    """One running server that scrapes the pages it is told of, every second by default."""

    folder: Path
    url: str
    daemon: Daemon

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        past: str | None = None,
        interval: str | None = None,
        web_config: str | None = None,
    ) -> "PrometheusLab":
        """Start a server on loopback that keeps all it has in `folder`.

        `past` are samples of other times in the text format of OpenMetrics, which the server has
        from its start; where some are of the future, it takes no scrape before then. `web_config`
        is its `--web.config.file` (TLS, users).

        Raises:
            LabError: it did not start, or `past` was refused.
        """
        data, targets = folder / "data", folder / "targets.json"
        data.mkdir()
        targets.write_text("[]")
        (folder / "prometheus.yml").write_text(
            CONFIG.format(interval=interval or "1s", job=JOB, targets=targets)
        )
        if past is not None:
            fill(data, past)
        (port,) = free_ports(1)
        argv = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=20y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        if web_config is not None:
            (folder / "web.yml").write_text(web_config)
            argv.append(f"--web.config.file={folder / 'web.yml'}")
        scheme = "https" if web_config and "tls_server_config" in web_config else "http"
        daemon = Daemon("prometheus", argv, ENV, folder / "prometheus.log")
        lab = cls(folder, f"{scheme}://127.0.0.1:{port}", daemon)
        daemon.start()
        try:
            daemon.until_ready(
                lab._ready if scheme == "http" else lambda: accepts_connections(port)
            )
        except LabError:
            lab.stop()
            raise
        return lab

    def scrape(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Scrape these addresses (host:port, path /metrics), each with labels of its own."""
        groups = [{"targets": [at], "labels": dict(labels)} for at, labels in targets.items()]
        path = self.folder / "targets.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(groups))
        part.replace(path)

    def query(self, expression: str, at: float | None = None) -> list[dict[str, object]]:
        """The instant vector of an expression, asked without any code of Foundry."""
        asked = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{urlencode(asked)}", timeout=10) as r:
            result = json.load(r)["data"]["result"]
        assert isinstance(result, list)
        return result

    def hang(self) -> None:
        """Freeze it: its port takes connections and never answers."""
        self.daemon.hang()

    def resume(self) -> None:
        """Let it go on."""
        self.daemon.resume()

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def fill(data: Path, past: str) -> None:
    """Write samples of the past into a server's data folder, as blocks of two hours each.

    Raises:
        LabError: promtool refused them; its words say why.
    """
    source = data.parent / "past.om"
    source.write_text(past if past.endswith("# EOF\n") else f"{past}# EOF\n")
    code, words = promtool("tsdb", "create-blocks-from", "openmetrics", str(source), str(data))
    if code != 0:
        raise LabError(f"promtool refused the samples of the past: {words}")


def page(samples: Sequence[tuple[str, Mapping[str, str], float, float]]) -> str:
    """Samples (name, labels, value, unix time) as OpenMetrics text, one series after another."""
    return "".join(
        f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}} "
        f"{value!r} {at:.3f}\n"
        for name, labels, value, at in samples
    )
