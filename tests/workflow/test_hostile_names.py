"""People, genes, contigs, files, folders and settings whose names are such that a shell would run them.

`touch PWNED` is what they ask for, in every way that a shell knows. They must be used as they are, and nothing may be touched.
"""

import gzip
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pysam
import pytest
import yaml
from running import TINY, Snakemake

from gta.simulate.run import simulate
from gta.simulate.settings import SimulateSettings

CONTIGS = {"sim1": """s1;$(touch$IFS""PWNED)'é`touch$IFS""PWNED`""", "sim2": 's2&touch$IFS""PWNED|#*?[a]!~\\'}
PEOPLE = {
    "P001": "$(touch PWNED)",
    "P002": 'it\'s "P 2"; `touch PWNED` #',
    "P003": "Åsa & touch PWNED",
    "P004": "--out=PWNED",
}
POPULATIONS = {"POP1": "pop $(touch PWNED) 'é'", "POP2": "--help;touch PWNED"}
GENES = {
    "SIMG00001.1": "$(touch PWNED)$1",
    "SIMG00002.1": "`touch PWNED`'é",
    "SIMG00003.1": "../../PWNED",
    "SIMG00005.1": "<script>PWNED</script>",
    "SIMG00007.1": "$\\frac{PWNED$",
    "SIMG00008.1": "--out=PWNED & {x} %s",
}
FOLDER = """my $(touch PWNED) "data"; 'é' `touch PWNED`"""
RESULTS = "results; $(touch PWNED) 'ö'/`touch PWNED`"
TASK = """Expression $(touch PWNED) `touch PWNED` "in" 'é';\ntouch PWNED #"""


def renamed(text: str, names: dict[str, str]) -> str:
    return re.sub(r"\b(" + "|".join(map(re.escape, names)) + r")\b", lambda found: names[found[0]], text)


def write_hostile_data(folder: Path) -> dict[str, str]:
    """Files of a user with such names in and of them, by the keys of the configuration."""
    plain = folder.parent / "plain"
    simulate(SimulateSettings(**yaml.safe_load(TINY.read_text())["simulation"]), plain)
    names = CONTIGS | PEOPLE | POPULATIONS | GENES
    files = {}
    for key, name in {
        "reference": "reference.fa",
        "genotypes": "genotypes.vcf.gz",
        "genes": "genes.gtf",
        "expression": "expression.bed.gz",
        "annotation": "annotation.tsv",
        "populations": "people.tsv",
    }.items():
        path = plain / name
        files[key] = f"$(touch PWNED) '{name}"
        if path.suffix == ".gz":
            with pysam.BGZFile(str(folder / files[key]), "wb", None) as out:
                out.write(renamed(gzip.decompress(path.read_bytes()).decode(), names).encode())
        else:
            (folder / files[key]).write_text(renamed(path.read_text(), names))
    return files


@dataclass(frozen=True)
class Study:
    """A user's folder that nothing can be written to, and the configuration that names it."""

    folder: Path
    data: Path
    configuration: Path


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("hostile")
    data = folder / FOLDER
    data.mkdir()
    values = yaml.safe_load(TINY.read_text())
    del values["simulation"]
    values |= {"results": RESULTS, "data_dir": str(data), "data": write_hostile_data(data)}
    values["cohort"] |= {
        "contigs": list(CONTIGS.values()),
        "exclude_people": [PEOPLE["P004"]],
        "exclude_genes": [GENES["SIMG00008.1"]],
        "held_out_population": POPULATIONS["POP2"],
    }
    values["language"]["task"] = TASK
    values["attribution"]["figure_genes"] = [GENES["SIMG00001.1"], GENES["SIMG00003.1"]]
    configuration = folder / "config.yaml"
    configuration.write_text(yaml.safe_dump(values, allow_unicode=True))

    # The modes of files do not bind root, a file system does.
    data.chmod(0o555)
    bound = subprocess.run(["mount", "--bind", data, data], capture_output=True).returncode == 0
    try:
        if bound:
            subprocess.run(["mount", "-o", "remount,bind,ro", data], check=True, capture_output=True)
        try:
            (data / "a").touch()
        except OSError:
            yield Study(folder, data, configuration)
        else:
            pytest.skip("no folder can be made read-only (root without the right to mount)")
    finally:
        if bound:
            subprocess.run(["umount", data], check=True)
        data.chmod(0o755)


def test_genotypes_are_read_and_windows_built(study: Study, snakemake: Snakemake, tmp_path: Path) -> None:
    """The rules that use these names for files, and the files themselves, on a file system that is read-only."""
    targets = [f"{RESULTS}/haplotypes/{contig}.npz" for contig in CONTIGS.values()]
    done = snakemake(*targets, f"{RESULTS}/cohort/figures/cohort.svg", "--cores", 1, "--configfile", study.configuration)
    assert done.returncode == 0, done.stderr
    results = tmp_path / RESULTS
    people = pd.read_csv(results / "cohort" / "people.tsv", sep="\t", quoting=3).set_index("person")
    assert {PEOPLE["P001"], PEOPLE["P002"], PEOPLE["P003"]} <= set(people.index)
    assert PEOPLE["P004"] not in people.index
    assert set(people.loc[people["population"] == POPULATIONS["POP2"], "split"]) == {"test"}
    genes = pd.read_csv(results / "cohort" / "genes.tsv", sep="\t", quoting=3)
    assert set(genes["contig"]) == set(CONTIGS.values())
    assert set(GENES.values()) - set(genes["gene"]) == {GENES["SIMG00008.1"]}
    assert not [*tmp_path.rglob("PWNED"), *study.folder.rglob("PWNED")]
    assert len(list(study.data.iterdir())) == 6


def test_every_command_reaches_its_program_as_it_was_meant(study: Study, snakemake: Snakemake, tmp_path: Path) -> None:
    """A shell, in which `python` writes down its words, gets every command of the whole plan."""
    done = snakemake("-n", "-p", "--configfile", study.configuration)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    found = re.findall(r"^Shell command: (.*?)\n+(?=\[|Job stats)", said, flags=re.MULTILINE | re.DOTALL)
    commands = [command.rsplit(" &> ", 1) for command in found if command != "None"]
    assert len(commands) > 25
    script = "python() { printf '%s\\0' python \"$@\"; printf '\\n\\0'; }\n" + "\n".join(command for command, _ in commands)
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ran.stderr == ""
    reached = [words.split("\0")[:-1] for words in ran.stdout.split("\n\0")[:-1]]
    assert reached == [shlex.split(command) for command, _ in commands]
    assert all(len(shlex.split(log)) == 1 for _, log in commands)
    words = [word for command in reached for word in command]
    assert {f"--task={TASK}", *CONTIGS.values(), f"--exclude-people={PEOPLE['P004']}"} <= set(words)
    assert not list(tmp_path.rglob("PWNED"))
