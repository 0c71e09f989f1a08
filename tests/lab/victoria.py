"""A real VictoriaMetrics server for the tests, which speaks the same API as Prometheus."""

import json
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.daemons import Daemon, LabError, accepts_connections, free_ports
from tests.lab.prometheus import CONFIG, ENV, JOB


def missing() -> str | None:
    """Why there is no VictoriaMetrics; None when there is."""
    found = shutil.which("victoria-metrics")
    return None if found else "no victoria-metrics on the PATH (Debian: victoria-metrics)"


@dataclass(slots=True)
class VictoriaLab:
    """One running server that scrapes the pages it is told of, every second."""

    folder: Path
    url: str
    daemon: Daemon

    @classmethod
    def start(cls, folder: Path, *, past: str | None = None) -> "VictoriaLab":
        """Start a server on loopback that keeps all it has in `folder`, `past` as Prometheus' lab.

        Raises:
            LabError: it did not start.
        """
        (folder / "targets.json").write_text("[]")
        config = CONFIG.format(interval="1s", job=JOB, targets=folder / "targets.json")
        config = config.replace("        refresh_interval: 1s\n", "")  # a flag of the server there
        (folder / "scrape.yml").write_text(config)
        (port,) = free_ports(1)
        argv = [
            "victoria-metrics",
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-promscrape.config={folder / 'scrape.yml'}",
            "-promscrape.fileSDCheckInterval=1s",
            "-retentionPeriod=20y",
            "-memory.allowedBytes=64MB",
        ]
        daemon = Daemon("victoria-metrics", argv, ENV, folder / "victoria.log")
        lab = cls(folder, f"http://127.0.0.1:{port}", daemon)
        daemon.start()
        try:
            daemon.until_ready(lambda: accepts_connections(port))
        except LabError:
            lab.stop()
            raise
        if past is not None:
            lab._fill(past)
        return lab

    def scrape(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Scrape these addresses (host:port, path /metrics), each with labels of its own."""
        groups = [{"targets": [at], "labels": dict(labels)} for at, labels in targets.items()]
        path = self.folder / "targets.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(groups))
        part.replace(path)

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()

    def _fill(self, past: str) -> None:
        """Its import takes milliseconds where OpenMetrics has seconds."""
        lines = []
        for line in past.removesuffix("# EOF\n").splitlines():
            sample, _, at = line.rpartition(" ")
            lines.append(f"{sample} {round(float(at) * 1000)}\n")
        self._post("/api/v1/import/prometheus", "".join(lines).encode())
        self._post("/internal/force_flush", b"")

    def _post(self, path: str, body: bytes) -> None:
        request = urllib.request.Request(self.url + path, body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status < 300
