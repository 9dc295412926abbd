"""The whole stage, on small files and on real ones."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pysam
import pysam.bcftools
import pytest

from gta.errors import UserError
from gta.inputs.genotypes import COMPLEMENT
from gta.inputs.index import is_index_of
from gta.inputs.run import InputFiles, prepare_inputs
from gta.inputs.tables import read_annotation, read_contigs, read_expression, read_genes, read_names, read_people


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_names_are_the_references_and_the_matrixs(files, tmp_path):
    out = tmp_path / "inputs"
    prepare_inputs(files.paths, out)

    genes = read_genes(out)
    assert genes.drop(columns=["start", "end"]).to_numpy().tolist() == [
        ["ENSG00000000002.1", "B", "protein_coding", "chr1", "-", 299],
        ["ENSG00000000001.7", "A", "protein_coding", "chr1", "+", 1000],
        ["ENSG00000000003", "C", "lincRNA", "chr2", "-", 899],
        ["ENSG00000000009.1", "Z", "protein_coding", "chrUn_1", "-", 299],
    ]
    assert read_people(out).to_numpy().tolist() == [["P1", "unknown"], ["P2", "unknown"], ["P3", "unknown"]]
    assert read_contigs(out).to_numpy().tolist() == [
        ["chr1", 3000, "1", "chr1", "1"],
        ["chr2", 3000, "2", "chr2", "2"],
        ["chrM", 3000, "", "", ""],
    ]
    matrix = read_expression(out)
    assert matrix.columns.tolist() == ["P3", "P1", "P9"]
    assert matrix.loc["ENSG00000000001.7"].tolist() == [0.5, 0.0, 17.25]
    assert read_annotation(out / "annotation.tsv").to_numpy().tolist() == [
        ["ENSG00000000001.7", "A1", "protein_coding", 'binds "A" boxes', "growth"],
        ["ENSG00000000003", "C", "lincRNA", "", ""],
        ["ENSG00000000777.1", "Q", "", "not in the other files", "death"],
    ]
    assert json.loads((out / "inputs.json").read_text()) == {"reference": "reference.fa", "genotypes": "genotypes.vcf.gz"}


def test_what_is_linked_can_be_read_by_region(files, tmp_path):
    out = tmp_path / "inputs"
    prepare_inputs(files.paths, out)
    assert (out / "reference.fa").is_symlink() and (out / "genotypes.vcf.gz").is_symlink()
    assert (out / "genotypes.vcf.gz").readlink() == files.paths.genotypes
    with pysam.FastaFile(str(out / "reference.fa")) as fasta:
        assert fasta.fetch("chr2", 40, 60) == files.sequences["chr2"][40:60]
    with pysam.VariantFile(str(out / "genotypes.vcf.gz")) as records:
        assert [record.pos for record in records.fetch("2", 0, 100)] == [50]
    # Nothing was written beside the user's files.
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "expression.bed", "genes.gtf", "people.vcf.gz", "ref.fa", "words.tsv",
    ]  # fmt: skip


def test_checksums_bear_the_names_that_were_given(files, tmp_path):
    prepare_inputs(files.paths, tmp_path / "inputs")
    table = pd.read_csv(tmp_path / "inputs" / "checksums.tsv", sep="\t").set_index("file")
    for path in files.paths.given().values():
        content = path.read_bytes()
        assert table.loc[str(path)].tolist() == [len(content), hashlib.sha256(content).hexdigest()]


def test_compressed_forms_give_the_same_tables(files, tmp_path):
    prepare_inputs(files.paths, tmp_path / "one")
    changed = files.change(
        reference=files.gzip("ref.fa.gz", files.fasta()),
        genotypes=files.gzip("plain.vcf.gz", files.vcf()),
        genes=files.gzip("genes.gtf.gz", files.gtf()),
        expression=files.bgzip("expression.bed.gz", files.bed()),
        annotation=files.gzip("words.tsv.gz", files.words()),
    )
    prepare_inputs(changed, tmp_path / "two")
    for name in ("genes.tsv", "people.tsv", "contigs.tsv", "annotation.tsv", "expression.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    copies = [tmp_path / "two" / name for name in ("reference.fa.gz", "genotypes.vcf.gz")]
    assert not any(path.is_symlink() for path in copies)
    assert [gzip.decompress(path.read_bytes()).decode() for path in copies] == [files.fasta(), files.vcf()]
    with pysam.FastaFile(str(copies[0])) as fasta, pysam.VariantFile(str(copies[1])) as records:
        assert fasta.fetch("chr2", 40, 60) == files.sequences["chr2"][40:60]
        assert [record.pos for record in records.fetch("2", 0, 100)] == [50]


def test_bcf(files, tmp_path):
    header = files.vcf().replace("#CHROM", "##contig=<ID=1>\n##contig=<ID=2>\n##contig=<ID=3>\n#CHROM")
    source, bcf = files.bgzip("with_contigs.vcf.gz", header), files.folder / "people.bcf"
    pysam.bcftools.view("-Ob", "-o", str(bcf), str(source), catch_stdout=False)
    prepare_inputs(files.change(genotypes=bcf), tmp_path / "inputs")
    assert json.loads((tmp_path / "inputs" / "inputs.json").read_text())["genotypes"] == "genotypes.bcf"
    assert (tmp_path / "inputs" / "genotypes.bcf.csi").is_file()
    assert read_people(tmp_path / "inputs")["person"].tolist() == ["P1", "P2", "P3"]
    assert read_contigs(tmp_path / "inputs")["genotypes_name"].tolist() == ["1", "2", ""]


def test_an_index_is_linked_unless_it_is_older_than_its_file(files, tmp_path):
    index = files.folder / "people.vcf.gz.tbi"
    pysam.tabix_index(str(files.paths.genotypes), preset="vcf", force=True)
    prepare_inputs(files.paths, tmp_path / "fresh")
    assert (tmp_path / "fresh" / "genotypes.vcf.gz.tbi").is_symlink()
    age = files.paths.genotypes.stat().st_mtime
    os.utime(index, (age - 100, age - 100))
    prepare_inputs(files.paths, tmp_path / "stale")
    assert not (tmp_path / "stale" / "genotypes.vcf.gz.tbi").is_symlink()


def test_a_second_run_gives_the_same_bytes_and_leaves_no_old_index(files, tmp_path):
    out = tmp_path / "inputs"
    prepare_inputs(files.paths, out)
    first = contents(out)
    (out / "genotypes.vcf.gz.csi").write_bytes(b"an index of other genotypes")
    prepare_inputs(files.paths, out)
    assert contents(out) == first


def test_populations(files, tmp_path):
    panel = files.write(
        "panel.tsv", "sample\tpop\tsuper_pop\tgender\t\t\nP3\tYRI\tAFR\tfemale\nP1\tGBR\tEUR\tmale\nP7\tGBR\tEUR\tmale\n"
    )
    prepare_inputs(files.change(populations=panel), tmp_path / "inputs")
    table = read_people(tmp_path / "inputs")
    assert table.columns.tolist() == ["person", "population", "sex"]
    assert table.to_numpy().tolist() == [["P1", "GBR", "male"], ["P2", "unknown", ""], ["P3", "YRI", "female"]]


def holed(path: Path) -> Path:
    """A bgzip file of which a piece before the end marker is missing."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-500] + whole[-28:])
    return path


def indexed(path: Path) -> Path:
    pysam.faidx(str(path))
    return path


MISTAKES = {
    "fasta is no fasta": (lambda f: {"reference": f.write("x.gtf", f.gtf())}, "is not FASTA"),
    "contig twice beside an index that hides it": (lambda f: {"reference": indexed(f.write("x.fa", ">chr1\nACGT\n>chr1\nAC\n"))},
                                                  'duplicate sequence "chr1"'),
    "plain vcf cut": (lambda f: {"genotypes": f.write("x.vcf", f.vcf()[:-3])}, "x.vcf ends in the middle of a line"),
    "plain gtf cut": (lambda f: {"genes": f.write("x.gtf", f.gtf()[:-30])}, "x.gtf ends in the middle of a line"),
    "plain matrix cut in a number": (lambda f: {"expression": f.write("x.bed", f.bed()[:-2])}, "x.bed ends in the middle of a"),
    "matrix for annotation": (lambda f: {"annotation": f.write("x.tsv", f.bed())}, "x.tsv looks like an expression matrix"),
    "one file for two": (lambda f: {"annotation": f.paths.expression}, "--annotation .*bed is the file .* --expression"),
    "annotation for matrix": (lambda f: {"expression": f.write("x.bed", f.words())}, "does not begin with the header `#chr"),
    "genotypes for matrix": (lambda f: {"expression": f.write("x.bed", f.vcf())}, "x.bed does not begin with the header"),
    "damage before the end marker": (lambda f: {"reference": holed(f.bgzip("x.fa.gz", f.fasta()))}, "x.fa.gz is cut short or"),
    "contig without a sequence": (lambda f: {"reference": f.write("x.fa", f.fasta() + ">chr9\n")}, "has no sequence"),
    "contig without a name": (lambda f: {"reference": f.write("x.fa", ">\nACGT\n" + f.fasta())}, "a sequence without a name"),
    "header of spaces": (lambda f: {"genotypes": f.write("x.vcf", f.vcf().replace("\t", " "))}, "not separated by tabs"),
    "blank line in the vcf": (lambda f: {"genotypes": f.write("x.vcf", f.vcf() + "\n")}, r"no whole record in line 8 \(''\)"),
    "vcf position": (lambda f: {"genotypes": f.write("x.vcf", f.vcf().replace("\t50\t", "\tx\t"))}, "whole record in line 6"),
    "first record lacks a call": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf().replace("0|1\t1|1\t0|0", "0|1\t1|1", 1))},
                                  "line 4 .* 12 columns"),
    "last record lacks a call": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf()[:-5] + "\n")}, "line 7 .* 12 columns"),
    "record past the contig's end": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf() + f.record("2", 9).replace(
        "\t9\t", "\t99999\t"))}, "2:99999 is past its end"),
    "person with a blank": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf(people=["P1", "P2", "P3 "]))}, "'P3 ' with a"),
    "ragged fasta": (lambda f: {"reference": f.write("x.fa", ">chr1\nACGT\nAC\nACGT\n")}, "line 4"),
    "contig twice": (lambda f: {"reference": f.write("x.fa", ">chr1\nACGT\n>chr1\nAC\n")}, 'duplicate sequence "chr1"'),
    "vcf is no vcf": (lambda f: {"genotypes": f.write("x.gtf", f.gtf())}, "neither VCF nor BCF"),
    "no people": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", "\n".join(
        "\t".join(line.split("\t")[:8]) for line in f.vcf().splitlines()) + "\n")}, "holds no people"),
    "person twice": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf(people=["P1", "P2", "P1"]))}, "'P1' more than once"),
    "unsorted": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf([("1", 1600), ("1", 100)]))},
                 r"line 5: 1:100 comes after 1:1600.*bcftools sort"),
    "contig in two pieces": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf([("1", 5), ("2", 5), ("1", 9)]))},
                             "line 6: contig 1 begins a second time"),
    "unsorted plain": (lambda f: {"genotypes": f.write("x.vcf", f.vcf([("1", 1600), ("1", 100)]))}, "1:100 comes after"),
    "no records": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf([]))}, "has no records"),
    "no GT": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf().replace("GT\t0|1", "DS\t0|1").replace("ID=GT", "ID=DS"))},
              "no genotypes .GT. at 1:100"),
    "no #CHROM": (lambda f: {"genotypes": f.write("x.vcf", "##fileformat=VCFv4.2\n" + f.record("1", 5))}, "#CHROM"),
    "another build": (lambda f: {"genotypes": f.bgzip("x.vcf.gz", f.vcf().replace("\t1600\t", "\t1601\t").replace(
        "\t2000\t", "\t2001\t"))}, r"does not fit the reference: \d of \d REF alleles differ \(e.g. 1:1601"),
    "other contigs": (lambda f: {"genotypes": f.bgzip(
        "x.vcf.gz", f.vcf().replace("\n1\t", "\nNC_1\t").replace("\n2\t", "\nNC_2\t"))},
                      "no contig in common: the file has 'NC_1', 'NC_2', the reference 'chr1', 'chr2', 'chrM'"),
    "other contigs in the GTF": (lambda f: {"genes": f.write("x.gtf", f.gtf().replace("chr", "scaffold"))},
                                 "genes .*x.gtf and the reference have no contig in common"),
    "other people": (lambda f: {"expression": f.write("x.bed", f.bed(people="Q1\tQ2\tQ3"))},
                     "no person in common: the one has 'P1', 'P2', 'P3', the other 'Q1'"),
    "other gene ids": (lambda f: {"genes": f.write("x.gtf", f.gtf().replace("ENSG", "NCBI"))}, "no gene in common"),
    "other genes annotated": (lambda f: {"annotation": f.write("x.tsv", f.words().replace("ENSG", "NCBI"))},
                              "annotation .* no gene in common"),
    "genes elsewhere": (lambda f: {"expression": f.write("x.bed", f.bed().replace("\t1000\t1001", "\t91000\t91001").replace(
        "\t899\t900", "\t90899\t90900"))}, "2 of 3 genes lie elsewhere .*ENSG00000000003: chr2:501-900 and 2:90900-90900"),
    "populations of others": (lambda f: {"populations": f.write("x.tsv", "sample\tpop\nQ1\tGBR\n")}, "none of the people"),
    "missing": (lambda f: {"annotation": f.folder / "nothing.tsv"}, "annotation .*nothing.tsv does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_and_leave_nothing_behind(files, tmp_path, mistake):
    make, message = MISTAKES[mistake]
    out = tmp_path / "inputs"
    with pytest.raises(UserError, match=message):
        prepare_inputs(files.change(**make(files)), out)
    assert not out.exists()


def test_cut_short_genotypes(files, tmp_path):
    whole = files.paths.genotypes.read_bytes()
    files.paths.genotypes.write_bytes(whole[:-28])
    with pytest.raises(UserError, match="cut short"):
        prepare_inputs(files.paths, tmp_path / "inputs")


@pytest.mark.parametrize("suffix", [".tbi", ".csi"])
@pytest.mark.parametrize("state", ["shorter", "longer", "another file", "truncated", "empty", "no index"])
def test_an_index_that_is_not_of_the_file_is_not_used(files, tmp_path, state, suffix, capsys):
    records = [("1", position) for position in range(100, 2900, 40)] + [("2", 50), ("2", 2000)]
    source = files.bgzip("people.vcf.gz", files.vcf(records))
    other = {"shorter": records[:30], "longer": [*records, ("2", 2500)], "another file": [("2", at) for _, at in records[:-2]]}
    made = files.bgzip("other.vcf.gz", files.vcf(other.get(state, records)))
    made = Path(pysam.tabix_index(str(made), preset="vcf", force=True, csi=suffix == ".csi") + suffix)
    content = {"truncated": made.read_bytes()[:-30], "empty": b"", "no index": files.paths.genes.read_bytes()}
    index = Path(f"{source}{suffix}")
    index.write_bytes(content.get(state, made.read_bytes()))
    assert not is_index_of(index, source)
    prepare_inputs(files.paths, tmp_path / "inputs")
    assert f"the index {index} is of another state of the file, or damaged: a new one is made" in capsys.readouterr().err
    with pysam.TabixFile(str(tmp_path / "inputs" / "genotypes.vcf.gz")) as tabix:
        assert [sum(1 for _ in tabix.fetch(contig)) for contig in ("1", "2")] == [len(records) - 2, 2]


def test_indexes_of_large_files_end_with_them(files, tmp_path):
    """Many blocks, in files of any size of the last one, read by either kind of index, VCF and BCF."""
    for number in (1, 500, 3000, 9001):
        lines = "".join(f"1\t{at + 1}\t.\tA\tC\t.\t.\tN={at * 7919 % 1000003}\tGT\t0|1\t1|1\t0|0\n" for at in range(number))
        declared = '##contig=<ID=1>\n##INFO=<ID=N,Number=1,Type=Integer,Description="n">\n##FORMAT'
        header = files.vcf([]).replace("##FORMAT", declared)
        source, bcf = files.bgzip("many.vcf.gz", header + lines), files.folder / "many.bcf"
        for csi in (False, True):
            made = Path(pysam.tabix_index(str(source), preset="vcf", force=True, csi=csi) + (".csi" if csi else ".tbi"))
            assert is_index_of(made, source)
        pysam.bcftools.view("-Ob", "-o", str(bcf), str(source), catch_stdout=False)
        pysam.tabix_index(str(bcf), preset="bcf", force=True, csi=True)
        assert is_index_of(Path(f"{bcf}.csi"), bcf)
        # Written by bcftools and read on the way: other offsets, the same file.
        pysam.bcftools.index("-f", "-t", str(source), catch_stdout=False)
        assert is_index_of(Path(f"{source}.tbi"), source)
        assert not is_index_of(Path(f"{source}.tbi"), bcf)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ref, alt: (alt, ref), r"in 2 of these 2 the reference has an ALT allele: REF and ALT are exchanged, as PLINK"),
        (lambda ref, alt: (ref.translate(COMPLEMENT), alt.translate(COMPLEMENT)), "fit on the other strand"),
    ],
)
def test_why_alleles_do_not_fit_the_reference_is_said(files, tmp_path, change, message):
    records = [("1", 100), ("1", 1600), ("1", 1700), ("2", 50), ("2", 2000)]
    lines = files.vcf(records).splitlines()
    for number in (-1, -3, -5):
        fields = lines[number].split("\t")
        fields[3], fields[4] = change(fields[3], "G" if fields[3] in "AT" else "A")
        lines[number] = "\t".join(fields)
    source = files.bgzip("odd.vcf.gz", "\n".join(lines) + "\n")
    with pytest.raises(UserError, match=message):
        prepare_inputs(files.change(genotypes=source), tmp_path / "inputs")


def test_the_folder_of_the_inputs_is_not_written_into(files):
    before = contents(files.folder)
    with pytest.raises(UserError, match="choose another folder"):
        prepare_inputs(files.paths, files.folder)
    assert contents(files.folder) == before


def test_names_with_odd_characters(files, tmp_path):
    people = ["a person", "per-son/2", "Zoë"]
    strange = tmp_path / "my data (old)"
    strange.mkdir()
    files.folder = strange
    changed = InputFiles(
        reference=files.write("ref 1.fa", files.fasta()),
        genotypes=files.write("all's.vcf", files.vcf(people=people)),
        genes=files.write("genes.gtf", files.gtf()),
        expression=files.write("expression.bed", files.bed(people="\t".join(people))),
        annotation=files.write("words.tsv", files.words()),
    )
    prepare_inputs(changed, tmp_path / "in puts")
    assert read_people(tmp_path / "in puts")["person"].tolist() == people


def test_real_data_from_a_read_only_folder(real_data, tmp_path):
    folder = real_data / "geuvadis-chr22"
    started = time.monotonic()
    command = ["inputs", "--out", str(tmp_path / "inputs")]
    for option, name in {
        "reference": "reference.fa.gz",
        "genotypes": "genotypes.vcf.gz",
        "genes": "gencode.v19.chr22.gtf.gz",
        "expression": "expression.rpkm.bed.gz",
        "annotation": "gene_annotation.tsv",
    }.items():
        command += [f"--{option}", str(folder / name)]
    from gta.inputs import cli

    script = "import argparse\nfrom gta.inputs import cli\n"
    script += "p = argparse.ArgumentParser()\ncli.add_parser(p.add_subparsers())\na = p.parse_args()\na.run(a)"
    library = str(Path(cli.__file__).parents[2])
    subprocess.run([sys.executable, "-c", script, *command], check=True, env={**os.environ, "PYTHONPATH": library})
    assert time.monotonic() - started < 15

    out = tmp_path / "inputs"
    people, genes, matrix = read_people(out), read_genes(out), read_expression(out)
    assert len(people) == 343 and len(set(people["person"]) & set(matrix.columns)) == 343
    assert matrix.shape == (608, 358)
    assert set(genes["contig"]) == {"22"}
    assert genes["gene"].isin(matrix.index).sum() == 598
    assert read_contigs(out).to_numpy().tolist() == [["22", 22_000_000, "22", "chr22", "chr22"]]
    # CLTCL1 in GENCODE v19: chr22:19,166,986-19,279,239, minus strand.
    assert genes.set_index("symbol").loc["CLTCL1", ["tss", "strand"]].tolist() == [19_279_238, "-"]


def test_without_genotypes_individuals_are_the_columns_of_the_matrix(files, tmp_path, capsys):
    out = tmp_path / "inputs"
    prepare_inputs(files.change(genotypes=None), out)
    assert json.loads((out / "inputs.json").read_text()) == {"reference": "reference.fa", "genotypes": None}
    assert read_names(out) == {"reference": "reference.fa"}
    assert read_people(out).to_numpy().tolist() == [["P3", "unknown"], ["P1", "unknown"], ["P9", "unknown"]]
    assert read_contigs(out)["genotypes_name"].tolist() == ["", "", ""]
    assert not list(out.glob("genotypes*"))
    assert "individuals are the columns of the expression matrix" in capsys.readouterr().err
    # All else is as with genotypes.
    prepare_inputs(files.paths, tmp_path / "with")
    for name in ("genes.tsv", "expression.parquet", "annotation.tsv"):
        assert (out / name).read_bytes() == (tmp_path / "with" / name).read_bytes()
    assert "people.vcf.gz" not in (out / "checksums.tsv").read_text()


def test_genotypes_of_an_earlier_run_are_removed(files, tmp_path):
    out = tmp_path / "inputs"
    prepare_inputs(files.paths, out)
    prepare_inputs(files.change(genotypes=None), out)
    assert not list(out.glob("genotypes*"))


def test_one_column_behind_four_leading_ones_with_populations(files, tmp_path):
    rows = "1\t1000\t1001\tENSG00000000001.7\t0.5\n1\t299\t300\tENSG00000000002.1\t1\n2\t899\t900\tENSG00000000003\t4\n"
    expression = files.write("one.bed", "#chr\tstart\tend\tgene\tGM1\n" + rows)
    populations = files.write("populations.tsv", "sample\tpop\nGM1\tCEU\n")
    out = tmp_path / "inputs"
    prepare_inputs(files.change(genotypes=None, expression=expression, populations=populations), out)
    assert read_people(out).to_numpy().tolist() == [["GM1", "CEU"]]
    assert read_expression(out)["GM1"].tolist() == [0.5, 1.0, 4.0]
    others = files.write("others.tsv", "sample\tpop\nHG1\tCEU\n")
    with pytest.raises(UserError, match=r"others\.tsv has none of the people with expression: it has 'HG1', they are 'GM1'"):
        prepare_inputs(files.change(genotypes=None, expression=expression, populations=others), out)


def test_a_compressed_reference_in_a_read_only_folder_needs_no_genotypes(files, tmp_path):
    folder = tmp_path / "read_only"
    folder.mkdir()
    with pysam.BGZFile(str(folder / "r.fa.gz"), "wb", None) as handle:
        handle.write(files.fasta().encode())
    folder.chmod(0o555)
    try:
        prepare_inputs(files.change(genotypes=None, reference=folder / "r.fa.gz"), tmp_path / "inputs")
    finally:
        folder.chmod(0o755)
    assert [path.name for path in folder.iterdir()] == ["r.fa.gz"]
    with pysam.FastaFile(str(tmp_path / "inputs" / "reference.fa.gz")) as fasta:
        assert fasta.fetch("chr2", 0, 50) == files.sequences["chr2"][:50]


def test_a_typing_error_in_a_small_table_shows_before_anything_is_indexed(files, tmp_path, capsys):
    words = files.write("w.tsv", "gen\tdescription\nENSG00000000001\tx\n")
    with pytest.raises(UserError, match="no column gene_id or gene"):
        prepare_inputs(files.change(annotation=words), tmp_path / "inputs")
    panel = files.write("p.tsv", "person\tpopulatoin\nP1\tGBR\n")
    with pytest.raises(UserError, match="no column population or pop"):
        prepare_inputs(files.change(populations=panel), tmp_path / "inputs")
    panel = files.write("p.tsv", "person\tpopulation\nQ1\tGBR\n")
    with pytest.raises(UserError, match="none of the people with genotypes"):
        prepare_inputs(files.change(populations=panel), tmp_path / "inputs")
    # The reference and the genotypes are named in the log as soon as they are indexed.
    said = capsys.readouterr().err
    assert "reference:" not in said and "genotypes:" not in said


def test_columns_in_capitals_a_mark_and_blanks(files, tmp_path, capsys):
    words = files.write(
        "w.tsv", "\ufeffGene_ID\tSymbol \tDescription\r\nENSG00000000001 \tA1\tbinds\r\nENSG00000000003.4\t\t\r\n"
    )
    panel = files.write("p.tsv", "\ufeffSample \tPop\r\nP1 \tGBR\r\nP2\u00a0\tYRI \r\n")
    matrix = files.write("m.bed", "\ufeff" + files.bed().replace("\n", "\t\r\n"))
    prepare_inputs(files.change(annotation=words, populations=panel, expression=matrix), tmp_path / "inputs")
    assert read_annotation(tmp_path / "inputs" / "annotation.tsv").to_numpy().tolist() == [
        ["ENSG00000000001.7", "A1", "protein_coding", "binds"],
        ["ENSG00000000003", "C", "lincRNA", ""],
    ]
    assert read_people(tmp_path / "inputs").to_numpy().tolist() == [["P1", "GBR"], ["P2", "YRI"], ["P3", "unknown"]]
    assert read_expression(tmp_path / "inputs").columns.tolist() == ["P3", "P1", "P9"]
    assert "warning" not in capsys.readouterr().err


def test_missing_descriptions_and_dates_in_place_of_symbols_are_warned_of(files, tmp_path, capsys):
    words = files.write("w.tsv", "gene_id\tsymbol\tgo_bp\nENSG00000000001\t1-Mar\t\nENSG00000000777\tQ\tdeath\n")
    prepare_inputs(files.change(annotation=words), tmp_path / "inputs")
    said = capsys.readouterr().err
    assert "annotation: warning: no gene with expression has anything in the column description: prompts lack it" in said
    # The gene that has one is not studied.
    assert "annotation: warning: no gene with expression has anything in the column go_bp" in said
    assert "annotation: warning: 1 names look like the dates and numbers that a spreadsheet makes" in said
    assert "column symbol" not in said


def test_a_line_break_in_a_quoted_cell_makes_no_gene(files, tmp_path):
    words = files.write("w.tsv", 'gene_id\tdescription\nENSG00000000001\t"binds\nboxes and ""DNA"""\nENSG00000000003.4\tx\n')
    prepare_inputs(files.change(annotation=words), tmp_path / "inputs")
    table = read_annotation(tmp_path / "inputs" / "annotation.tsv")
    assert table[["gene", "description"]].to_numpy().tolist() == [
        ["ENSG00000000001.7", 'binds boxes and "DNA"'],
        ["ENSG00000000003", "x"],
    ]


def test_a_gene_at_two_places_has_that_of_the_matrix(files, tmp_path, capsys):
    copy = 'chr2\tX\tgene\t2001\t2500\t.\t-\t.\tgene_id "ENSG00000000001.1"; gene_name "A";\n'
    genes = files.write("g.gtf", copy + files.gtf())
    prepare_inputs(files.change(genes=genes), tmp_path / "inputs")
    found = read_genes(tmp_path / "inputs").set_index("gene").loc["ENSG00000000001.7"]
    assert found[["contig", "tss", "strand"]].tolist() == ["chr1", 1000, "+"]
    assert "1 lines repeat a gene id at another place" in capsys.readouterr().err
