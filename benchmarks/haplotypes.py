"""Personal sequences, from VCF on disk to byte arrays in memory: ours beside bcftools, GenVarLoader and kipoiseq, in one run.

50 windows x 445 people x 2 haplotypes of a simulated cohort (`simulated_cohort.py`), at 49,152 and 196,608 bp. Every program runs
as a process of its own, and all of it counts: start, imports, preparation of data, reading and splicing. GenVarLoader and
kipoiseq get environments of their own in `benchmarks/.cache`. bcftools and kipoiseq make a sample of the sequences, one after the
other, and their time is scaled up.

Seconds are the smaller of wall and CPU seconds: what a program would take at most on a quiet machine. Ours, which reads ahead in
a second process, is the best of five runs. The ratios of CPU seconds alone, and of seconds on the wall alone, stand beside.

Bytes are checked on a sample: fixed-length sequences against those cut out of `bcftools consensus` with its insertions and
deletions marked. Writes `benchmarks/results/haplotypes.json` and `haplotypes.tsv`; prints one JSON object last.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pysam.bcftools

HERE = Path(__file__).resolve().parent
CACHE, RESULTS, PEERS = HERE / ".cache", HERE / "results", HERE / "peers"
LIBRARY = HERE.parent / "workflow" / "lib"
LENGTHS = (49_152, 196_608)
PEOPLE, CONTIG_LENGTH, WINDOWS = 445, 40_000_000, 50
#: Sequences that bcftools and kipoiseq make.
SAMPLE = {"bcftools": 100, "kipoiseq": 40}
#: Cohorts whose people differ in number, on a short contig.
COHORTS, SHORT_CONTIG = (100, 445, 1000, 2504), 4_000_000
WINDOW_COUNTS = (50, 100, 200, 500)
#: Reference on either side of a window that bcftools gets when bytes are compared.
FLANK = 4096


def measured(command: list[str], **variables: str) -> dict[str, Any]:
    """Run a process; gives its JSON object with `wall_s`, `cpu_s` and `peak_mb`, children included."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        begin = os.times().elapsed
        process = subprocess.Popen(command, stdout=out, stderr=errors, env={**os.environ, **variables})
        _, status, usage = os.wait4(process.pid, 0)
        wall = os.times().elapsed - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = [line for line in out.read().splitlines() if line.startswith("{")]
        if process.returncode or not lines:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()[-3000:]}")
    return {**json.loads(lines[-1]), "wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def environment(name: str, *packages: str) -> str:
    """Python of a virtual environment in the cache with some packages, made if it is not there."""
    folder = CACHE / "environments" / name
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        print(f"making the environment of {name}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, stdout=sys.stderr)
        (folder / "done").touch()
    return str(python)


def cohort(people: int, length: int) -> Path:
    """Folder of a simulated cohort in the cache, made if it is not there."""
    folder = CACHE / f"cohort-{people}-{length}"
    if not (folder / "done").exists():
        print(f"simulating {people} people, {length / 1e6:g} Mb", file=sys.stderr)
        # In a process of its own: a program that is started inherits its parent's peak of memory.
        script = str(HERE / "simulated_cohort.py")
        subprocess.run([sys.executable, script, str(folder), "--people", str(people), "--length", str(length)], check=True)
        (folder / "done").touch()
    return folder


def write_windows(path: Path, count: int, length: int, contig_length: int) -> Path:
    """A table of windows, spread evenly over the contig."""
    margin = length // 2 + 10_000
    middles = np.linspace(margin, contig_length - margin, count).astype(int).tolist()
    rows = [f"w{number}\tchr1\t{tss - length // 2}\t{tss - length // 2 + length}\t{tss}\t+" for number, tss in enumerate(middles)]
    path.write_text("\n".join(["window\tcontig\tstart\tend\ttss\tstrand", *rows]) + "\n")
    return path


def ours(folder: Path, windows: Path, sample: str = "-") -> dict[str, Any]:
    """Our time for all sequences of a table of windows."""
    command = [sys.executable, str(PEERS / "run_gta.py"), str(folder / "genotypes.vcf.gz"), str(folder / "reference.fa")]
    return measured([*command, str(windows), sample], PYTHONPATH=str(LIBRARY), OMP_NUM_THREADS="1")


def panels(folder: Path, windows: Path, out: Path) -> dict[str, Any]:
    """What the workflow stores of the same windows, and how long that takes."""
    files = [str(folder / "genotypes.vcf.gz"), str(folder / "reference.fa"), str(windows), str(out)]
    return measured([sys.executable, str(PEERS / "run_gta_panels.py"), *files], PYTHONPATH=str(LIBRARY), OMP_NUM_THREADS="1")


def genvarloader(folder: Path, windows: Path, scratch: Path) -> dict[str, Any]:
    """GenVarLoader's time; it leaves indexes beside its input, so it gets links in a folder that will be removed."""
    for path in folder.glob("*.*"):
        (scratch / path.name).symlink_to(path)
    files = [str(scratch / name) for name in ("genotypes.vcf.gz", "reference.fa")]
    python = environment("genvarloader", "genvarloader")
    command = [python, str(PEERS / "run_genvarloader.py"), *files, str(windows), str(scratch / "dataset"), str(scratch / "g.npz")]
    return measured(command)


def sampled(program: str, python: str, arguments: list[str], sequences: int) -> dict[str, Any]:
    """Time of a program that makes one sequence after the other, scaled from a sample; its start counts once."""
    script = str(PEERS / f"run_{program}.py")
    start = measured([python, script, *arguments, "0"])
    sample = measured([python, script, *arguments, str(SAMPLE[program])])
    factor = sequences / SAMPLE[program]
    scaled = {key: start[key] + (sample[key] - start[key]) * factor for key in ("wall_s", "cpu_s")}
    return {**sample, **scaled, "sampled": SAMPLE[program]}


def differences(sample: Path, folder: Path, windows: Path, scratch: Path) -> tuple[int, int]:
    """How many sequences of a sample are not those of bcftools, and how many were compared."""
    table = {row["window"]: row for row in csv.DictReader(windows.open(), delimiter="\t")}
    different = compared = 0
    with np.load(sample) as arrays, pysam.FastaFile(str(folder / "reference.fa")) as reference:
        people = arrays["people"].tolist()
        for name in set(arrays.files) & set(table):
            start, end, tss = (int(table[name][key]) for key in ("start", "end", "tss"))
            region = scratch / "checked.fa"
            bases = reference.fetch("chr1", start - FLANK, end + FLANK).upper()
            region.write_text(f">chr1:{start - FLANK + 1}-{end + FLANK}\n{bases}\n")
            for number, person in enumerate(people):
                for haplotype in (1, 2):
                    out = scratch / "checked.out"
                    marks = ["--mark-ins", "lc", "--mark-del", "-", "-o", str(out), str(folder / "genotypes.vcf.gz")]
                    options = ["-f", str(region), "-s", person, "-H", str(haplotype), *marks]
                    pysam.bcftools.consensus(*options, catch_stdout=False)
                    marked = "".join(out.read_text().split("\n")[1:])
                    letters = np.frombuffer(marked.encode(), dtype=np.uint8)
                    standing = np.cumsum((letters < ord("a")) | (letters > ord("z"))) - 1 + start - FLANK
                    kept = letters != ord("-")
                    whole = np.frombuffer(marked.upper().encode(), dtype=np.uint8)[kept]
                    middle = int(np.searchsorted(standing[kept], tss))
                    expected = whole[middle - (tss - start) : middle + end - tss]
                    different += not np.array_equal(arrays[name][number, haplotype - 1], expected)
                    compared += 1
    return different, compared


def equal_share(ours_file: Path, theirs_file: Path) -> float:
    """Share of the people and windows of a sample on which two programs agree, when both walk from the left edge."""
    with np.load(ours_file) as mine, np.load(theirs_file) as other:
        order = {person: number for number, person in enumerate(other["people"].tolist())}
        shared = [(number, order[person]) for number, person in enumerate(mine["people"].tolist()) if person in order]
        same = []
        for name in set(other.files) - {"people"}:
            theirs = np.char.upper(other[name].view("S1")).view("u1")
            same += [np.array_equal(mine[f"left_{name}"][a], theirs[b]) for a, b in shared]
    return float(np.mean(same)) if same else float("nan")


def least(result: dict[str, Any]) -> float:
    """Seconds that a program would take at most on a quiet machine."""
    return min(result["wall_s"], result["cpu_s"])


def compare(length: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Run everybody at one length of windows; adds to the table, gives the ratios."""
    folder, sequences = cohort(PEOPLE, CONTIG_LENGTH), WINDOWS * PEOPLE * 2
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        scratch = Path(name)
        windows = write_windows(scratch / "windows.tsv", WINDOWS, length, CONTIG_LENGTH)
        files = [str(folder / "genotypes.vcf.gz"), str(folder / "reference.fa"), str(windows)]
        sample = scratch / "ours.npz"
        ours(folder, windows, str(sample))
        runs = [ours(folder, windows) for _ in range(5)]
        gta = min(runs, key=least)
        assert gta["bytes"] == sequences * length
        stored = panels(folder, windows, scratch / "panels.npz")
        results = {"gta": gta}
        (scratch / "gvl").mkdir()
        results["genvarloader"] = genvarloader(folder, windows, scratch / "gvl")
        results["bcftools consensus"] = sampled("bcftools", sys.executable, [*files, str(scratch)], sequences)
        bcf = CACHE / "genotypes.bcf"
        if not bcf.exists():
            pysam.bcftools.view("-Ob", "-o", str(bcf), files[0], catch_stdout=False)
            pysam.bcftools.index(str(bcf), catch_stdout=False)
        results["bcftools consensus, BCF"] = sampled("bcftools", sys.executable, [str(bcf), *files[1:], str(scratch)], sequences)
        kipoiseq = environment("kipoiseq", "kipoiseq", "cyvcf2", "pyfaidx", "six", "setuptools<81")
        results["kipoiseq"] = sampled("kipoiseq", kipoiseq, files, sequences)
        different, compared = differences(sample, folder, windows, scratch)
        shared = equal_share(sample, scratch / "gvl" / "g.npz")
    for program, result in results.items():
        ratio = least(result) / least(gta)
        cpu_ratio, wall_ratio = result["cpu_s"] / gta["cpu_s"], result["wall_s"] / gta["wall_s"]
        rows.append(
            {
                "length": length,
                "program": program,
                "version": result.get("version", ""),
                "wall_s": round(result["wall_s"], 2),
                "cpu_s": round(result["cpu_s"], 2),
                "peak_mb": round(result["peak_mb"]),
                "ratio": round(ratio, 1),
                "cpu_ratio": round(cpu_ratio, 1),
                "wall_ratio": round(wall_ratio, 1),
                "sampled": result.get("sampled", ""),
            }
        )
        print(
            f"{length:>7} bp  {program:<24} {result['wall_s']:9.2f} s  {result['cpu_s']:9.2f} CPU s  "
            f"{result['peak_mb']:6.0f} MB  {ratio:7.1f}x  (CPU {cpu_ratio:.1f}x, wall {wall_ratio:.1f}x)",
            flush=True,
        )
    print(
        f"{length:>7} bp  {different} of {compared} sequences differ from bcftools; GenVarLoader agrees on {shared:.2%}",
        flush=True,
    )
    return {
        f"speedup_genvarloader_{length}": least(results["genvarloader"]) / least(gta),
        f"speedup_bcftools_{length}": least(results["bcftools consensus"]) / least(gta),
        f"cpu_speedup_genvarloader_{length}": results["genvarloader"]["cpu_s"] / gta["cpu_s"],
        f"cpu_speedup_bcftools_{length}": results["bcftools consensus"]["cpu_s"] / gta["cpu_s"],
        f"wall_speedup_genvarloader_{length}": results["genvarloader"]["wall_s"] / gta["wall_s"],
        f"wall_speedup_bcftools_{length}": results["bcftools consensus"]["wall_s"] / gta["wall_s"],
        f"seconds_{length}": gta["wall_s"],
        f"cpu_seconds_{length}": gta["cpu_s"],
        "peak_mb": gta["peak_mb"],
        "bytes_equal": different == 0,
        f"genvarloader_agrees_{length}": shared,
        f"stored_mb_{length}": stored["bytes"] / 1e6,
        f"fasta_mb_{length}": stored["fasta_bytes"] / 1e6,
        f"seconds_to_store_{length}": stored["wall_s"],
    }


def scaling() -> list[dict[str, Any]]:
    """Our time by number of people and of windows, at 49,152 bp."""
    rows = []
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        for people in COHORTS:
            windows = write_windows(Path(name) / "windows.tsv", WINDOWS, LENGTHS[0], SHORT_CONTIG)
            rows.append({"people": people, "windows": WINDOWS, **ours(cohort(people, SHORT_CONTIG), windows)})
        for count in WINDOW_COUNTS:
            windows = write_windows(Path(name) / "windows.tsv", count, LENGTHS[0], CONTIG_LENGTH)
            rows.append({"people": PEOPLE, "windows": count, **ours(cohort(PEOPLE, CONTIG_LENGTH), windows)})
    for row in rows:
        row["ns_per_base"] = round(row["cpu_s"] / row["bytes"] * 1e9, 3)
        print(
            f"{row['people']:>5} people  {row['windows']:>4} windows  {row['wall_s']:7.2f} s  {row['cpu_s']:7.2f} CPU s  "
            f"{row['peak_mb']:5.0f} MB",
            flush=True,
        )
    return rows


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-scaling", action="store_true", help="leave out how time grows with people and windows")
    arguments = parser.parse_args()
    for folder in (CACHE, RESULTS):
        folder.mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    summary: dict[str, Any] = {"bytes_equal": True, "peak_mb": 0.0}
    for length in LENGTHS:
        found = compare(length, rows)
        found["bytes_equal"] &= summary["bytes_equal"]
        found["peak_mb"] = max(found["peak_mb"], summary["peak_mb"])
        summary.update(found)
    write_table(RESULTS / "haplotypes.tsv", rows)
    if not arguments.no_scaling:
        write_table(RESULTS / "haplotypes_scaling.tsv", scaling())
    summary = {key: round(value, 3) if isinstance(value, float) else value for key, value in sorted(summary.items())}
    (RESULTS / "haplotypes.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
