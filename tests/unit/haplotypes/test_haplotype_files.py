"""Reading genotypes and references, writing panels, the command line, and what people get wrong."""

import numpy as np
import pandas as pd
import pysam
import pytest

from gta.cli import main
from gta.errors import UserError
from gta.haplotypes import PanelSet, Reference, open_reference
from gta.haplotypes.build import build
from gta.haplotypes.genotypes import ABSENT, MISSING, Genotypes, parse_call
from gta.haplotypes.settings import HaplotypeSettings

SEQUENCE = "ACGT" * 25
RECORDS = [
    (6, "C", "T", ["0|1", "1|0", "0|0"]),
    (20, "T", "C,G", ["0|2", ".|1", "1/1"]),
    (41, "A", "G", ["1|1", "0|1", "0|0"]),
    (90, "C", "CA", ["1|1", "0|1", "0|0"]),
]
THREE = ("anna", "bert", "carl")


@pytest.fixture
def world(make_world):
    return make_world(SEQUENCE, RECORDS, windows=[(-10, 30), (0, 40), (60, 100)], people=THREE)


def options(world, *more):
    paths = [
        "--inputs",
        world.inputs,
        "--cohort",
        world.cohort,
        "--out",
        world.folder / "x.npz",
        "--account",
        world.folder / "x.tsv",
    ]
    return ["haplotypes", "build", *map(str, paths), "--contig", world.contig, *more]


def test_command_writes_panels_and_account(world):
    assert main(options(world)) == 0
    panels = PanelSet.load(world.folder / "x.npz")
    assert (panels.genes, panels.people, panels.contig) == (["g1", "g2", "g3"], list(THREE), "chr1")
    account = pd.read_csv(world.folder / "x.tsv", sep="\t")
    assert account["records_seen"].tolist() == [2, 2, 1]
    assert account["distinct_haplotypes"].tolist() == [4, 4, 1]
    assert account["padded_bases"].tolist() == [10, 0, 0]
    assert not list(world.folder.glob(".writing-*"))


def test_panels_come_back_as_they_were_and_the_same_bytes_are_written_twice(world):
    panels, _ = world.build(variants="all", unphased="as_listed")
    for name in ("one.npz", "two.npz"):
        panels.save(world.folder / name)
    assert (world.folder / "one.npz").read_bytes() == (world.folder / "two.npz").read_bytes()
    loaded = PanelSet.load(world.folder / "one.npz")
    for name in ("windows", "reaches", "spans", "haploid", "positions", "haplotypes"):
        assert np.array_equal(getattr(loaded, name), getattr(panels, name)), name
    assert (loaded.refs, loaded.alts) == (panels.refs, panels.alts)
    assert loaded.alts == [(b"T",), (b"C", b"G"), (b"G",), (b"CA",)]
    assert world.sequences(loaded.panel("g2"), 0)[1] == "ACGTATGTACGTACGTACGGACGTACGTACGTACGTACGT"


def test_windows_of_one_stretch_share_records(world):
    panels, _ = world.build()
    assert panels.spans.tolist() == [[0, 3], [0, 3], [0, 3]]
    assert len(panels.positions) == 3


def test_windows_without_any_record_are_the_reference(make_world):
    world = make_world(SEQUENCE * 100, [(6, "C", "T", ["0|1", "0|0"])], windows=[(0, 20), (9000, 9020)])
    panels, account = world.build()
    assert panels.positions.tolist() == [5]
    assert panels.panel("g2").carriers.max() <= 0
    assert account["gene"].tolist() == ["g1", "g2"]


def test_long_stretches_are_read_in_pieces(world, monkeypatch):
    whole, account = world.build(variants="all", unphased="as_listed")
    monkeypatch.setattr("gta.haplotypes.build.LONGEST", 45)
    pieces, same_account = world.build(variants="all", unphased="as_listed")
    assert (len(whole.positions), len(pieces.positions)) == (4, 12)
    assert account.equals(same_account)
    for gene in whole.genes:
        for row in range(len(whole.panel(gene).alleles)):
            assert np.array_equal(
                whole.panel(gene).sequence(row, world.reference), pieces.panel(gene).sequence(row, world.reference)
            )


@pytest.mark.parametrize("form", ["csi", "bcf"])
def test_other_files_give_the_same_panels(make_world, form):
    built = [make_world(SEQUENCE, RECORDS, people=THREE, form=each).build(variants="all")[0] for each in ("vcf.gz", form)]
    assert np.array_equal(built[0].haplotypes, built[1].haplotypes)
    assert built[0].haplotypes.tolist() == [[0, 0, 1, 1], [1, 2, 1, 1], [1, 0, 0, 0], [0, 1, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]
    assert (built[0].refs, built[0].alts) == (built[1].refs, built[1].alts)


def test_the_cohort_s_people_are_picked_by_name(make_world):
    world = make_world(SEQUENCE, RECORDS, people=THREE, chosen=["carl", "anna"])
    panel = world.panel()
    assert panel.people == ["carl", "anna"]
    assert panel.alleles[panel.carriers[1, 1]].tolist() == [1, 2, 1]
    assert panel.alleles[panel.carriers[0, 0]].tolist() == [0, 1, 0]


def test_further_fields_and_two_digit_alleles(make_world):
    alts = ["".join(letters) for letters in ("C" * number for number in range(2, 13))]
    records = [(6, "C", "T", ["0|1:30", "1|0:7"]), (10, "C", ",".join(alts), ["11|0", "0|10"])]
    world = make_world(SEQUENCE, records)
    panel = world.panel(variants="all")
    assert panel.alleles[panel.carriers].tolist() == [[[0, 11], [1, 0]], [[1, 0], [0, 10]]]


def test_calls():
    assert parse_call("0|12") == (0, 12, True)
    assert parse_call("./1") == (MISSING, 1, False)
    assert parse_call("1") == (1, ABSENT, False)
    assert parse_call("/1|0") == (1, 0, True)
    assert [parse_call(text) for text in ("0|1|1", "x", "", "0|", "0|101", "-1|0")] == [None] * 6


def test_contig_with_a_colon(make_world):
    records = [(6, "C", "T", ["0|1", "0|0"])]
    world = make_world(SEQUENCE, records, contig="HLA:A*01", genotypes_name="HLA:A*01")
    assert world.panel().positions.tolist() == [5]


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (["0|1|1", "0|0"], r"1:6 .* the call '0\|1\|1' for anna"),
        (["0|x", "0|0"], r"1:6 .* the call '0\|x' for anna"),
        (["0|2", "0|0"], r"1:6 .* allele 2 but only 1 ALT"),
        (["30", "20"], r"1:6 .* no genotypes \(GT\)"),
        (["0|1"], r"1:6 .* has 1 calls for 2 people"),
        (["0|1", "0|0", "0|0"], r"1:6 .* has 3 calls for 2 people"),
    ],
)
def test_malformed_records_are_named(make_world, calls, message):
    world = make_world(SEQUENCE, [(6, "C", "T", calls)])
    with pytest.raises(UserError, match=message):
        world.build()


def test_nothing_is_written_when_it_fails(make_world, capsys):
    world = make_world(SEQUENCE, [(6, "G", "T", ["0|1", "0|0"])])
    assert main(options(world)) == 1
    assert "has REF G, but the reference has C" in capsys.readouterr().err
    assert sorted(path.name for path in world.folder.iterdir()) == ["cohort", "inputs"]


def test_unknown_contig_or_gene(world):
    for contig, message in (("chr9", "has no contig 'chr9'"), ("chrEmpty", "no contig that belongs to 'chrEmpty'")):
        with pytest.raises(UserError, match=message):
            type(world)(world.folder, contig).build()
    with pytest.raises(UserError, match="no window of gene 'x'"):
        world.build()[0].panel("x")


def test_contig_without_genes_or_records(make_world):
    world = make_world(SEQUENCE, RECORDS, windows=[], people=THREE)
    with pytest.raises(UserError, match="has no gene on contig 'chr1'"):
        world.build()
    world = make_world(SEQUENCE, [], people=THREE)
    with pytest.raises(UserError, match="have no record on contig '1'"):
        world.build()


def test_person_without_genotypes(make_world):
    world = make_world(SEQUENCE, RECORDS, people=THREE, chosen=["anna", "dora"])
    with pytest.raises(UserError, match="person dora is not in the genotypes"):
        world.build()


def test_damaged_genotypes(make_world):
    rng = np.random.default_rng(1)
    sequence = "".join(rng.choice(list("ACGT"), 30000))
    records = [
        (
            place + 1,
            sequence[place],
            "G" if sequence[place] != "G" else "A",
            ["|".join(map(str, rng.integers(0, 2, 2))) for _ in THREE],
        )
        for place in range(0, 30000, 3)
    ]
    world = make_world(sequence, records, windows=[(0, 30000)], people=THREE)
    path = world.inputs / "genotypes.vcf.gz"
    whole = bytearray(path.read_bytes())
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for content in (whole[: len(whole) // 2], damaged):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"cannot be read at 1:1-30000: the file is cut short or damaged"):
            world.build()


def test_genotypes_without_index_or_compression(world):
    path = world.inputs / "genotypes.vcf.gz"
    (world.inputs / "genotypes.vcf.gz.tbi").unlink()
    with pytest.raises(UserError, match="cannot be opened through their index"):
        Genotypes(path, ["anna"])
    path.write_text("nothing of the kind")
    with pytest.raises(UserError, match="cannot be opened through their index"):
        Genotypes(path, ["anna"])
    with pytest.raises(UserError, match="does not exist"):
        Genotypes(world.inputs / "other.vcf.gz", ["anna"])


def test_file_that_holds_no_panels(world):
    world.build()[0].save(world.folder / "whole.npz")
    whole = (world.folder / "whole.npz").read_bytes()
    np.savez(world.folder / "other.npz", people=np.array(["a"]))
    for name, content in (("cut.npz", whole[: len(whole) // 2]), ("empty.npz", b""), ("text.npz", b"gene\tcontig\n")):
        (world.folder / name).write_bytes(content)
    for name in ("cut.npz", "empty.npz", "text.npz", "other.npz"):
        with pytest.raises(UserError, match="is not a whole file of haplotype panels"):
            PanelSet.load(world.folder / name)


def test_reference(tmp_path):
    path = tmp_path / "r.fa"
    path.write_text(">one\nacgtNN\nAC\n>two\nGGG\n")
    with pytest.raises(UserError, match=r"index of the reference .* does not exist"):
        Reference(path)
    pysam.faidx(str(path))
    reference = Reference(path)
    assert reference.lengths == {"one": 8, "two": 3}
    assert reference.fetch("one", -2, 10).tobytes() == b"NNACGTNNACNN"
    assert reference.fetch("one", 1, 3).tobytes() == b"CG"
    assert reference.fetch("two", -5, -1).tobytes() == reference.fetch("two", 5, 9).tobytes() == b"NNNN"
    with pytest.raises(UserError, match="no contig 'three'"):
        reference.fetch("three", 0, 1)
    path.write_text(">one\nacgt\n")
    with pytest.raises(UserError, match="ends within contig one, before base 8"):
        Reference(path).fetch("one", 0, 8)


def test_inputs_that_name_no_files(tmp_path):
    (tmp_path / "inputs.json").write_text('{"reference": "a"}')
    with pytest.raises(UserError, match="does not name a reference and genotypes"):
        open_reference(tmp_path)


def test_padded_sequences_and_distinct_tiles_are_counted(make_world):
    records = [
        (6, "CGT", "C", ["1|0", "0|0", "1"]),  # in the first window this draws in the contig's start
        (20, "T", "C", ["1|0", "0|1", "0"]),
        (60, "T", "A", ["0|0", "0|0", "0"]),
    ]
    world = make_world(SEQUENCE, records, windows=[(0, 40), (40, 80), (-2, 38)], people=THREE)
    _, account = build(world.inputs, world.cohort, "chr1", HaplotypeSettings(variants="all"), tile_length=20)
    by_gene = account.set_index("gene")
    # g3 begins first. All five haplotypes are padded where the window begins before the contig, two where bases were deleted.
    assert by_gene["padded_sequences"].to_dict() == {"g3": 5, "g1": 2, "g2": 0}
    # Tiles of g1: with and without the deletion; with and without the SNV at 19, which stands in the first one.
    assert by_gene.loc["g1", ["distinct_per_tile_mean", "distinct_per_tile_max"]].tolist() == [2.5, 4]
    assert by_gene.loc["g2", ["distinct_per_tile_mean", "distinct_per_tile_max"]].tolist() == [1.0, 1]


def test_without_genotypes_everybody_has_the_reference(make_world, tmp_path):
    sequence = "".join(np.random.default_rng(1).choice(list("ACGT"), 400))
    world = make_world(
        sequence, [(20, sequence[19], "A" if sequence[19] != "A" else "C", ("1|1", "0|1"))], ((-10, 30), (100, 140))
    )
    with_variants = world.panel()
    for path in world.inputs.glob("genotypes*"):
        path.unlink()
    (world.inputs / "inputs.json").write_text('{"reference": "reference.fa", "genotypes": null}')
    contigs = (world.inputs / "contigs.tsv").read_text().replace("chr1\t400\t1\t", "chr1\t400\t\t")
    (world.inputs / "contigs.tsv").write_text(contigs)
    for variants in ("snv", "all"):
        panels, account = world.build(variants=variants)
        panels.save(tmp_path / "panels.npz")
        panels = PanelSet.load(tmp_path / "panels.npz")
        panel = panels.panel("g1")
        assert panel.carriers.tolist() == [[0, 0], [0, 0]] and panel.alleles.shape == (1, 0)
        assert world.sequences(panel, 0) == ["N" * 10 + sequence[:30]] * 2
        assert panel.sequence(0, world.reference).tobytes() == with_variants.sequence(0, world.reference).tobytes()
        sequences, index = panel.tiles(world.reference, 10, margin=4)
        assert index.tolist() == [[0, 1, 2, 3]]
        assert [row.tobytes().decode()[4:-4] for row in sequences] == ["N" * 10, sequence[:10], sequence[10:20], sequence[20:30]]
        assert account["records_seen"].tolist() == [0, 0] and account["padded_bases"].tolist() == [10, 0]
        assert account["distinct_haplotypes"].tolist() == [1, 1] and account["people_haploid"].tolist() == [0, 0]
