"""`gta haplotypes export`: sequences worked out by hand, order, formats, and what people get wrong."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pysam.bcftools
import pytest

from gta.cli import main
from gta.haplotypes.encoding import reverse_complement

#           0         1         2         3
#           0123456789012345678901234567890123456789
SEQUENCE = "ACGTTCGTACGAACGTCCGTACTTACGTGGGTACGTACCA"
PEOPLE = ("carl", "anna", "bert")
RECORDS = [
    (6, "C", "T", ["0|1", "1|0", "0|0"]),
    (12, "A", "AGG", ["1|0", "0|0", "0|0"]),
    (24, "TAC", "T", ["0|0", "0|1", "0|0"]),
    (30, "G", "A,C", ["1|2", "0|0", "."]),
]
WINDOWS = [("w2", "chr1", 10, 30, 20, "-"), ("w1", "chr1", -5, 15, 5, "+")]


class Files:
    """A VCF, a FASTA and a table of windows in a folder, and the command on them."""

    def __init__(self, world, windows):
        self.folder = world.folder
        self.vcf = next(world.inputs.glob("genotypes.*[fz]"))
        self.fasta = world.inputs / "reference.fa"
        self.table = world.folder / "windows.tsv"
        self.write_windows(windows)

    def write_windows(self, windows, header=("window", "contig", "start", "end", "tss", "strand")):
        lines = ["\t".join(header), *("\t".join(map(str, window)) for window in windows)]
        self.table.write_text("\n".join(lines) + "\n")

    def run(self, *more, out="out.tsv"):
        paths = ["--vcf", self.vcf, "--fasta", self.fasta, "--windows", self.table, "--out", self.folder / out]
        return main(["haplotypes", "export", *map(str, [*paths, *more])])

    def sequences(self, *more) -> dict[tuple[str, str, int], str]:
        assert self.run(*more) == 0
        table = pd.read_csv(self.folder / "out.tsv", sep="\t", keep_default_na=False)
        assert table.columns.tolist() == ["window", "person", "haplotype", "sequence"]
        return {tuple(row[:3]): row[3] for row in table.itertuples(index=False)}


@pytest.fixture
def make_files(make_world):
    def make(records, windows, sequence=SEQUENCE, people=PEOPLE, **world):
        return Files(make_world(sequence, records, people=people, **world), windows)

    return make


@pytest.fixture
def files(make_files):
    return make_files(RECORDS, WINDOWS)


def test_windows_and_people_come_as_asked_and_haploid_people_have_one_haplotype(files):
    keys = list(files.sequences())
    everybody = [("carl", 1), ("carl", 2), ("anna", 1), ("anna", 2), ("bert", 1), ("bert", 2)]
    assert keys == [(window, *each) for window in ("w2", "w1") for each in everybody]
    assert list(files.sequences("--people", "bert,carl"))[:4] == [("w2", *each) for each in everybody[4:] + everybody[:2]]
    (files.folder / "some.txt").write_text("anna\ncarl\n")
    assert [key[1] for key in files.sequences("--people", files.folder / "some.txt")][::2] == ["anna", "carl"] * 2


def test_fixed_length_by_hand(files):
    snv = files.sequences()
    assert snv["w1", "carl", 1] == "NNNNN" + SEQUENCE[:15]
    assert snv["w1", "carl", 2] == "NNNNN" + "ACGTTTGTACGAACG"
    assert snv["w2", "carl", 1] == SEQUENCE[10:29] + "A"
    everything = files.sequences("--variants", "all")
    # Two bases more before the TSS at 20 push the first two out of the window.
    assert everything["w2", "carl", 1] == "GG" + SEQUENCE[12:29] + "A"
    assert everything["w2", "anna", 2] == SEQUENCE[10:24] + SEQUENCE[26:32]
    assert everything["w2", "anna", 2][10] == SEQUENCE[20]


def test_minus_strand_on_request_only(files):
    plain, aware = files.sequences("--variants", "all"), files.sequences("--variants", "all", "--strand-aware")
    other = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
    for key, sequence in plain.items():
        expected = "".join(other[base] for base in reversed(sequence)) if key[0] == "w2" else sequence
        assert aware[key] == expected
    raw, aware = files.sequences("--raw", "--variants", "all"), files.sequences("--raw", "--variants", "all", "--strand-aware")
    assert aware["w2", "anna", 2] == "".join(other[base] for base in reversed(raw["w2", "anna", 2]))


def test_raw_is_the_unpadded_consensus(files):
    raw = files.sequences("--raw", "--variants", "all")
    assert raw["w1", "carl", 1] == SEQUENCE[:12] + "GG" + SEQUENCE[12:15]
    assert raw["w2", "anna", 2] == SEQUENCE[10:24] + SEQUENCE[26:30]
    assert raw["w2", "carl", 2] == SEQUENCE[10:29] + "C"
    assert raw["w1", "bert", 1] == SEQUENCE[:15]


def test_fasta_has_the_same_sequences(files):
    table = files.sequences()
    assert files.run(out="out.fa") == 0
    with pysam.FastxFile(str(files.folder / "out.fa")) as entries:
        assert {tuple(entry.name.split("|")): entry.sequence for entry in entries} == {
            (window, person, str(number)): sequence for (window, person, number), sequence in table.items()
        }


def test_haploid_person(make_files):
    files = make_files([(6, "C", "T", ["1", "0|1", "0"])], [("w", "1", 0, 20, 10, "+")])
    assert list(files.sequences()) == [("w", "carl", 1), ("w", "anna", 1), ("w", "anna", 2), ("w", "bert", 1)]


def test_edges(make_files):
    records = [
        (1, "AC", "C", ["1|0", "0|0", "0|0"]),  # the first base of the contig
        (9, "ACGAACG", "A", ["0|1", "0|0", "0|0"]),  # over the window's start: 9-14 go
        (20, "TACTTACG", "T", ["0|0", "1|0", "0|0"]),  # over its end: 20-26 go
        (21, "A", "A" + "GATTACA" * 5, ["0|0", "0|1", "0|0"]),  # longer than the window
    ]
    files = make_files(records, [("w", "chr1", 12, 22, 17, "+"), ("first", "chr1", 0, 10, 5, "+")])
    raw = files.sequences("--raw", "--variants", "all")
    assert raw["first", "carl", 1] == SEQUENCE[1:10]
    assert raw["w", "carl", 2] == SEQUENCE[15:22]
    assert raw["w", "anna", 1] == SEQUENCE[12:20]
    assert raw["w", "anna", 2] == SEQUENCE[12:21] + "GATTACA" * 5 + SEQUENCE[21:22]
    fixed = files.sequences("--variants", "all")
    assert fixed["first", "carl", 1] == "N" + SEQUENCE[1:10]
    assert fixed["w", "carl", 2] == SEQUENCE[6:9] + SEQUENCE[15:22]
    assert fixed["w", "anna", 1] == SEQUENCE[12:20] + SEQUENCE[27:29]
    assert fixed["w", "anna", 2] == SEQUENCE[12:21] + "G"


def test_insertion_before_the_first_base(make_files):
    records = [(1, "A", "GGA", ["1|0", "0|0", "0|0"])]
    files = make_files(
        records, [("before", "chr1", -5, 10, 5, "+"), ("there", "chr1", 0, 10, 5, "+"), ("after", "chr1", 1, 10, 5, "+")]
    )
    raw = files.sequences("--raw", "--variants", "all")
    assert raw["before", "carl", 1] == raw["there", "carl", 1] == "GG" + SEQUENCE[:10]
    assert raw["before", "carl", 2] == raw["there", "carl", 2] == SEQUENCE[:10]
    assert raw["after", "carl", 1] == SEQUENCE[1:10]
    assert files.sequences("--variants", "all")["before", "carl", 1] == "NNNGG" + SEQUENCE[:10]


def test_filters(make_files, make_world):
    files = make_files([(6, "C", "T", ["1|1", "0|0", "0|0"]), (8, "T", "A", ["1|1", "0|0", "0|0"])], [("w", "1", 0, 10, 5, "+")])
    text = pysam.BGZFile(str(files.vcf)).read().decode()
    head, first, second = text.rstrip("\n").rsplit("\n", 2)
    head = head.replace("##ALT", '##FILTER=<ID=q10,Description="Low">\n##FILTER=<ID=s50,Description="Few">\n##ALT')
    files.vcf = files.folder / "filtered.vcf.gz"
    with pysam.BGZFile(str(files.vcf), "wb", None) as out:
        first, second = first.replace("\t.\t.\t.\t", "\t.\tPASS\t.\t"), second.replace("\t.\t.\t.\t", "\t.\tq10;s50\t.\t")
        out.write(f"{head}\n{first}\n{second}\n".encode())
    assert files.sequences()["w", "carl", 1] == "ACGTTTGAAC"
    assert files.sequences("--filters", "PASS")["w", "carl", 1] == "ACGTTTGTAC"
    assert files.sequences("--filters", "s50", "q1")["w", "carl", 1] == "ACGTTCGAAC"
    assert files.run("--filters", "PASS", "--account", files.folder / "account.tsv") == 0
    account = pd.read_csv(files.folder / "account.tsv", sep="\t").iloc[0]
    assert (account["records_seen"], account["records_applied"], account["skipped_filter"]) == (2, 1, 1)


@pytest.mark.parametrize("form", ["bcf", "csi"])
def test_other_forms_of_genotypes(make_files, files, form):
    expected = files.sequences("--variants", "all")
    assert make_files(RECORDS, WINDOWS, form=form).sequences("--variants", "all") == expected


def test_missing_indexes_are_made_elsewhere(files):
    expected = files.sequences()
    for path in (Path(f"{files.fasta}.fai"), Path(f"{files.vcf}.tbi")):
        path.unlink()
    before = sorted(files.vcf.parent.iterdir())
    assert files.sequences() == expected
    assert sorted(files.vcf.parent.iterdir()) == before


def test_contig_with_other_name(make_files):
    files = make_files(RECORDS, [("w", "1", 0, 20, 10, "+")], contig="1", genotypes_name="chr1")
    assert files.sequences()["w", "carl", 2][5] == "T"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("w", "chr1", 0, 20, 10)], "no column 'strand'"),
        ([("w", "chr1", 0, "x", 10, "+")], "line 2: end is 'x', not a whole number"),
        ([("w", "chr1", 20, 20, 20, "+")], "line 2: the window ends at 20, not behind its start at 20"),
        ([("w", "chr1", 0, 20, 20, "+")], "line 2: the TSS 20 is not within"),
        ([("w", "chr1", 0, 20, 10, "?")], "line 2: the strand is '?'"),
        ([("w", "chr1", 0, 20, 10, "+")] * 2, "line 3: the window 'w' is in line 2 already"),
        ([("w", "chr7", 0, 20, 10, "+")], "on contig 'chr7', which the reference"),
        ([("w", "", 0, 20, 10, "+")], "line 2: the column 'contig' is empty"),
        ([], "a header but no rows"),
    ],
)
def test_mistakes_in_the_windows(files, capsys, lines, message):
    header = ("window", "contig", "start", "end", "tss", "strand")
    files.write_windows(lines, header[: len(lines[0])] if lines else header)
    assert files.run() == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")

    assert re.search(message, error), error
    assert not (files.folder / "out.tsv").exists()


@pytest.mark.parametrize(
    ("people", "message"),
    [("anna,dora", "person dora is not in the genotypes"), ("anna,anna", "names anna twice"), (",", "names nobody")],
)
def test_mistakes_in_the_people(files, capsys, people, message):
    assert files.run("--people", people) == 1
    assert message in capsys.readouterr().err


def test_contig_without_genotypes_is_no_silent_reference(make_files, capsys):
    files = make_files(RECORDS, [("w", "chr1", 0, 20, 10, "+")], genotypes_name="HLA")
    assert files.run() == 1
    assert "which the genotypes" in capsys.readouterr().err


def test_ref_mismatch_and_unphased_name_the_record(make_files, capsys):
    assert make_files([(6, "G", "T", ["0|1", "0|0", "0|0"])], WINDOWS).run() == 1
    assert "1:6 of" in (error := capsys.readouterr().err)
    assert "has REF G, but the reference has C" in error
    unphased = [(6, "C", "T", ["0/1", "0|0", "0|0"])]
    assert make_files(unphased, WINDOWS).run() == 1
    assert "unphased heterozygote (carl)" in capsys.readouterr().err
    assert make_files(unphased, WINDOWS).sequences("--unphased", "iupac")["w1", "carl", 1][10] == "Y"
    assert make_files(unphased, WINDOWS).sequences("--unphased", "as_listed")["w1", "carl", 2][10] == "T"


def test_reverse_complement_of_codes():
    codes = np.frombuffer(b"ACGTNRYSWKMBDHV", dtype=np.uint8)
    assert reverse_complement(codes).tobytes() == b"BDHVKMWSRYNACGT"


def test_indels_at_the_first_base_keep_the_base_behind_where_it_is(make_files):
    windows = [("w", "chr1", -4, 6, 1, "+"), ("v", "chr1", 0, 8, 0, "+")]
    files = make_files([(1, "AC", "C", ["1|0", "0|0", "0|0"]), (1, "A", "TTA", ["0|1", "0|0", "0|0"])], windows)
    both = files.sequences("--variants", "all")
    assert both["w", "carl", 1] == "NNNNN" + SEQUENCE[1:6]
    assert both["w", "carl", 2] == "NNTT" + SEQUENCE[:6]
    assert both["v", "carl", 1] == SEQUENCE[1:9]
    assert both["v", "carl", 2] == SEQUENCE[:8]
    raw = files.sequences("--variants", "all", "--raw")
    assert raw["v", "carl", 1] == SEQUENCE[1:8]


def test_a_window_outside_of_the_contig_is_n_and_said_to_be(files, capsys):
    files.write_windows(
        [("far", "chr1", 4000, 4020, 4010, "+"), ("near", "chr1", 40, 44, 41, "-"), ("low", "chr1", -9, -5, -7, "+")]
    )
    found = files.sequences("--variants", "all")
    assert {key[0]: value for key, value in found.items()} == {"far": "N" * 20, "near": "NNNN", "low": "NNNN"}
    assert "far: 20 bases beyond the contig's ends" in capsys.readouterr().err
    assert set(files.sequences("--raw").values()) == {""}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ((36, "T", "C", ["0/1", "0|0", "0|0"]), "unphased heterozygote"),
        ((36, "G", "C", ["0|1", "0|0", "0|0"]), "has REF G, but the reference has T"),
    ],
)
def test_records_are_checked_where_they_matter(make_files, capsys, record, message):
    files = make_files([*RECORDS[:1], record], [("w", "chr1", 0, 20, 10, "+")])
    assert files.run("--variants", "all") == 0
    files.write_windows([("w", "chr1", 20, 36, 30, "+")])
    assert files.run("--variants", "all") == 1
    assert message in capsys.readouterr().err


def test_ref_is_checked_whatever_is_done_with_the_record(make_files, capsys):
    for ref, alt in (("TC", "T"), ("T", "<DEL>"), ("T", "*")):
        files = make_files([(6, ref, alt, ["0|0", "0|0", "0|0"])], [("w", "chr1", 0, 20, 10, "+")])
        assert files.run() == 1
        assert f"1:6 of {files.vcf} has REF {ref}, but the reference has C" in capsys.readouterr().err
    assert make_files([(6, "N", "<DEL>", ["0|1", "0|0", "0|0"])], [("w", "chr1", 0, 20, 10, "+")]).run() == 0


def test_a_half_call_is_no_heterozygote(make_files):
    files = make_files([(6, "C", "T", ["./1", "1/.", "./."])], [("w", "chr1", 0, 10, 5, "+")])
    found = files.sequences()
    assert [found["w", person, haplotype][5] for person in ("carl", "anna") for haplotype in (1, 2)] == ["C", "T", "T", "C"]


def test_contigs_of_other_names_are_matched_and_said(files, capsys):
    assert files.run() == 0
    assert "contig chr1 of the reference is 1 in the genotypes" in capsys.readouterr().err
    assert files.run(out="x.fa.gz") == 1
