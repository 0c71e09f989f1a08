"""`foundry migrate`: its exit codes, its files, its text, JSON and CSV, and bad input."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
import yaml

from foundry_tui.cli import main

CORPUS = Path(__file__).parents[1] / "migration" / "corpus"
TABLES = str(CORPUS.parent / "tables.toml")
MAPPED = "#!/bin/sh\n#SBATCH --account=nlp --partition=gpu\npython /scratch/a.py\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("FOUNDRY_CONFIG", raising=False)
    (tmp_path / "mapped.sh").write_text(MAPPED)
    return tmp_path


def called(*args: str) -> int:
    return main(["migrate", *args])


@pytest.mark.parametrize(
    ("name", "code"),
    [("venv.sh", 5), ("single-gpu.sh", 5), ("late-directive.sh", 0), ("het.sh", 1)],
)
def test_the_exit_code_is_that_of_the_worst_class(name: str, code: int) -> None:
    assert called(str(CORPUS / name), "--tables", TABLES) == code


def test_without_a_folder_nothing_is_written(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert called("mapped.sh", "--tables", TABLES) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("mapped.sh -> Run:ai: 4 by table\n")
    assert "SBATCH_* variables" in out and "were not seen" in " ".join(out.split())
    assert [path.name for path in folder.iterdir()] == ["mapped.sh"]


def test_specs_and_manifests_are_written_and_the_spec_can_be_rendered(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "mapped.sh").write_text(MAPPED)
    assert called("--tables", TABLES, "--target=kai", "-o", "out", "mapped.sh", "b/mapped.sh") == 0
    names = ["mapped-2.foundry.yaml", "mapped-2.kai.yaml", "mapped.foundry.yaml", "mapped.kai.yaml"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == names
    (manifest,) = yaml.safe_load_all((folder / "out" / "mapped.kai.yaml").read_text())
    assert manifest["kind"] == "Job"
    capfd.readouterr()
    for target in ("slurm", "kai"):
        assert main(["render", "--target", target, "out/mapped.foundry.yaml"]) == 0
    out, _ = capfd.readouterr()
    assert "#SBATCH --account=nlp\n" in out and "#SBATCH --partition=gpu\n" in out
    again = yaml.safe_load(out[out.index("apiVersion:") :])
    assert again["metadata"]["labels"] == manifest["metadata"]["labels"]
    volumes = [m["spec"]["template"]["spec"]["volumes"] for m in (manifest, again)]
    assert volumes[0] == volumes[1] != []


def test_files_that_are_there_are_kept_unless_told(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = folder / "out" / "mapped.runai.json"
    place.parent.mkdir()
    place.write_text("mine")
    assert called("mapped.sh", "--tables", TABLES, "-o", "out") == 1
    assert "is there and differs" in capfd.readouterr().err
    assert [path.name for path in place.parent.iterdir()] == ["mapped.runai.json"]
    assert called("mapped.sh", "--tables", TABLES, "-o", "out", "--force") == 0
    assert json.loads(place.read_text())["name"] == "mapped"
    assert called("mapped.sh", "--tables", TABLES, "-o", "out") == 0


def test_json_has_everything(capfd: pytest.CaptureFixture[str]) -> None:
    path = str(CORPUS / "ddp-two-nodes.sh")
    assert called("--json", path, "--tables", TABLES) == 5
    whole = json.loads(capfd.readouterr().out)
    assert whole["schema"] == "foundry.migration/1" and "SBATCH_*" in whole["partial"][0]
    (one,) = whole["migration"]
    assert (one["path"], one["target"], one["worst"]) == (path, "runai", "approximated")
    assert sum(one["counts"].values()) == len(one["findings"])
    assert one["spec"]["launcher"] == "torchrun" and one["problem"] is None
    assert one["manifests"][0]["spec"]["numWorkers"] == 1
    finding = next(f for f in one["findings"] if f["name"] == "torchrun")
    assert (finding["line"], finding["kind"], finding["class"]) == (15, "body", "ok")


def test_csv_has_a_row_for_each_finding(capfd: pytest.CaptureFixture[str]) -> None:
    called("--csv", "mapped.sh", "gone.sh", "--tables", TABLES)
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert [row["class"] for row in rows] == ["by table"] * 4 + ["lost"]
    assert (rows[-1]["path"], rows[-1]["line"]) == ("gone.sh", "")
    assert "does not exist" in rows[-1]["why"]


def test_what_cannot_be_read_is_told_and_the_others_are_done(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty.sh").touch()
    (folder / "binary.sh").write_bytes(b"\x7fELF\0\0\0" * 9)
    (folder / "dir.sh").mkdir()
    with (folder / "huge.sh").open("wb") as huge:
        huge.truncate(50 << 20)
    with (folder / "vast.sh").open("wb") as vast:
        vast.truncate(1 << 40)
    (folder / "wrong.sh").write_text("#!/bin/sh\n#SBATCH --nodes=x\ntrue\n")
    bad = ["empty.sh", "binary.sh", "dir.sh", "huge.sh", "vast.sh", "wrong.sh", "gone.sh"]
    assert called(*bad, "mapped.sh", "--tables", TABLES, "-o", "out") == 5
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    for name, words in zip(
        bad,
        ["empty", "NUL bytes", "is a directory", "50.0 MiB", "too much", "--nodes", "not exist"],
        strict=True,
    ):
        (line,) = (line for line in out.splitlines() if line.startswith(f"{name} -> "))
        assert "not translated" in line and words in line
    assert (folder / "out" / "mapped.foundry.yaml").is_file()
    assert called(*bad, "--tables", TABLES) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_script_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "mapped.sh").chmod(0)
    assert called("mapped.sh") == 1
    assert "cannot be read" in capfd.readouterr().out


def test_the_tables_may_stand_in_the_configuration(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = folder / "foundry.toml"
    config.write_text(f'[migration]\ntables = "{TABLES}"\n')
    assert called("--config", str(config), "mapped.sh") == 0
    assert called("mapped.sh") == 5
    config.write_text("[migration]\nno_such = 1\n")
    assert called("--config", str(config), "mapped.sh") == 2
    assert "no_such" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[accounts]\nnlp = 3\n", "accounts.nlp: expected one word"),
        ("[account]\n", "account: unknown"),
        ("image = \n", "no TOML"),
        ('[paths]\n"/x" = {}\n', "paths./x: give `claim` or `source`"),
        ('[paths]\n"$HOME" = {claim = "a"}\n', "give `target`"),
        ('[paths]\n"/x" = {claim = "a", target = "/y"}\n', "leave it out"),
    ],
)
def test_wrong_tables_are_named_by_field(
    folder: Path, capfd: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (folder / "t.toml").write_text(text)
    assert called("mapped.sh", "--tables", "t.toml") == 2
    assert words in capfd.readouterr().err


def test_wrong_use_is_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert called() == 2
    assert called("mapped.sh", "--target", "pbs") == 2
    assert called("mapped.sh", "--where", "x=1") == 2
    assert called("mapped.sh", "--tables", "gone.toml") == 2
    assert "gone.toml does not exist" in capfd.readouterr().err


def test_tables_are_proposed_and_can_be_used(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    estate = str(Path(__file__).parents[2] / "data" / "estate-12.json")
    assert main(["--estate", estate, "migrate", "tables", "-o", "t.toml"]) == 0
    assert called("mapped.sh", "--tables", "t.toml") == 5
    capfd.readouterr()
    assert main(["--estate", estate, "migrate", "tables", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["proposals"]
    assert {one["table"] for one in found} == {"partitions", "accounts", "qos"}
    assert all((one["value"] is None) == (one["confidence"] is None) for one in found)
