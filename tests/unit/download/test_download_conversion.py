"""Published files brought into the form of the inputs: small ones with the details that bite."""

import gzip
from pathlib import Path

import pandas as pd
import pysam
import pytest

from gta.cli import main
from gta.download.expression import exon_lengths, read_pseudocounts
from gta.download.manifest import read_study
from gta.errors import UserError
from gta.files import sha256

PANEL = "HG1 GBR EUR ILLUMINA\nHG2 FIN EUR ILLUMINA\nHG9 YRI AFR ILLUMINA\n"
MATRIX = (
    "TargetID\tGene_Symbol\tChr\tCoord\tHG2.1.M_1\tHG1.2.M_1\tHG1.3.M_2\tHG7.1.M_1\n"
    "ENSG01.4\tENSG01.4\t21\t100\t1\t2\t4\t9\n"
    "ENSG02.1\tENSG02.1\t22\t7\t0\t0.5\t0\t9\n"
)
# Plain gzip, no contigs, a FORMAT field that the header does not name, as Geuvadis has them.
HEADER = (
    '##fileformat=VCFv4.1\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1\tHG7\tHG2\n"
)


def vcf(folder: Path, contig: str, text: str) -> Path:
    path = folder / f"chr{contig}.vcf.gz"
    path.write_bytes(gzip.compress((HEADER + text).encode()))
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "panel").write_text(PANEL)
    (tmp_path / "matrix.txt.gz").write_bytes(gzip.compress(MATRIX.encode()))
    words = ["--panel", tmp_path / "panel", "--expression", tmp_path / "matrix.txt.gz", "--out", tmp_path / "people.tsv"]
    assert main(["download", "people", *map(str, words)]) == 0
    return tmp_path / "people.tsv"


def test_people_are_those_in_panel_and_matrix(people: Path) -> None:
    assert people.read_text() == "person\tpopulation\nHG1\tGBR\nHG2\tFIN\n"


def test_panel_with_a_header(people: Path, tmp_path: Path) -> None:
    (tmp_path / "ped").write_text("FamilyID SampleID FatherID MotherID Sex Population Superpopulation\nF HG2 0 0 1 FIN EUR\n")
    words = ["--panel", tmp_path / "ped", "--expression", tmp_path / "matrix.txt.gz", "--out", people]
    assert main(["download", "people", *map(str, words)]) == 0
    assert people.read_text() == "person\tpopulation\nHG2\tFIN\n"


def test_genotypes_of_two_contigs_in_one_file(people: Path, tmp_path: Path) -> None:
    vcf(tmp_path, "21", "21\t10\trs1\tA\tG\t.\tPASS\tAF=0.5\tGT:PP\t0|1:x\t1|1:x\t1|0:x\n")
    vcf(
        tmp_path,
        "22",
        "22\t5\trs2\tC\tCT\t.\tPASS\tAF=0.5\tGT:BD\t1|1:x\t0|0:x\t0|0:x\n22\t9\t.\tT\tA\t.\tPASS\t.\tGT\t0|0\t0|0\t0|1\n",
    )
    parts = []
    for contig in ("21", "22"):
        parts.append(tmp_path / f"{contig}.bcf")
        words = ["--vcf", tmp_path / f"chr{contig}.vcf.gz", "--people", people, "--out", parts[-1]]
        assert main(["download", "genotypes", *map(str, words)]) == 0
    joined = tmp_path / "all.bcf"
    assert main(["download", "join", "--parts", *map(str, parts), "--out", str(joined), "--index", f"{joined}.csi"]) == 0
    with pysam.VariantFile(str(joined)) as records:
        assert list(records.header.samples) == ["HG1", "HG2"]
        assert list(records.header.contigs) == ["21", "22"]
        (first,) = records.fetch("21")
        assert [first.samples[name]["GT"] for name in ("HG1", "HG2")] == [(0, 1), (1, 0)]
        assert all(first.samples[name].phased for name in ("HG1", "HG2"))
        assert list(first.format) == ["GT"]
        assert [record.pos for record in records.fetch("22")] == [5, 9]
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


def test_genotypes_that_are_cut_short(people: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"22\t{n}\t.\tA\tG\t.\tPASS\t.\tGT\t0|{n % 2}\t1|1\t1|0\n" for n in range(1, 15_000))
    path = vcf(tmp_path, "22", rows)
    path.write_bytes(path.read_bytes()[:-300])
    assert main(["download", "genotypes", "--vcf", str(path), "--people", str(people), "--out", str(tmp_path / "x.bcf")]) == 1
    assert "download the file again" in capfd.readouterr().err
    assert not (tmp_path / "x.bcf").exists()


def test_expression_of_geuvadis_is_the_mean_of_a_persons_libraries(people: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one.bed.gz", tmp_path / "two.bed.gz"]
    (tmp_path / "genes.gtf").write_text("")
    for out in outs:
        words = [
            "--matrix",
            tmp_path / "matrix.txt.gz",
            "--form",
            "geuvadis",
            "--genes",
            tmp_path / "genes.gtf",
            "--people",
            people,
        ]
        assert main(["download", "expression", *map(str, words), "--out", str(out)]) == 0
    assert gzip.decompress(outs[0].read_bytes()).decode() == (
        "#chr\tstart\tend\tgene\tlength\tstrand\tHG1\tHG2\n21\t99\t100\tENSG01.4\t.\t.\t3\t1\n22\t6\t7\tENSG02.1\t.\t.\t0.25\t0\n"
    )
    assert sha256(outs[0]) == sha256(outs[1])


def test_pseudocounts_per_kb_of_exons(tmp_path: Path) -> None:
    line = 'chr1\tx\texon\t{}\t{}\t.\t+\t.\tgene_id "{}"; transcript_id "t";\n'
    # Exons 1-100 and 51-150 overlap: 150 bases; 301-400: 100 more.
    exons = [(1, 100, "A"), (51, 150, "A"), (301, 400, "A"), (1, 1000, "B")]
    (tmp_path / "g.gtf").write_text("".join(line.format(*exon) for exon in exons))
    lengths = exon_lengths(tmp_path / "g.gtf")
    assert lengths == {"A": 250, "B": 1000}
    (tmp_path / "m.bed").write_text("#chr\tstart\tend\tgene_id\tP\nchr1\t0\t1\tA\t5\nchr1\t0\t1\tB\t5\nchr1\t0\t1\tC\t5\n")
    people, rows = read_pseudocounts(tmp_path / "m.bed", lengths)
    assert people == ["P"]
    assert {row[3]: row[4][0] for row in rows} == {"A": 20, "B": 5}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a\tb\tc\td\tP\n1\t2\t3\tg\n", "line 2, has 4 columns"), ("a\tb\tc\td\tP\n1\t2\t3\tg\tx\n", "line 2: could not")],
)
def test_broken_matrix(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.bed").write_text(text)
    with pytest.raises(UserError, match=sentence):
        list(read_pseudocounts(tmp_path / "m.bed", {"g": 1.0})[1])


def test_annotation_of_ncbi(tmp_path: Path) -> None:
    (tmp_path / "info").write_text(
        "#tax_id\tGeneID\tSymbol\tSynonyms\tdbXrefs\tdescription\ttype_of_gene\n"
        "9606\t2\tBBB\t-\tHGNC:1|Ensembl:ENSG2\tsecond gene\tprotein-coding\n"
        "9606\t1\tAAA\tA1|A2\tEnsembl:ENSG1\t-\tncRNA\n9606\t3\tCCC\t-\t-\tno id\tncRNA\n"
    )
    (tmp_path / "go").write_text(
        "#tax_id\tGeneID\tGO_ID\tEvidence\tQualifier\tGO_term\tPubMed\tCategory\n"
        "9606\t2\tGO:1\tx\tinvolved_in\tz process\t-\tProcess\n9606\t2\tGO:2\tx\tinvolved_in\ta process\t-\tProcess\n"
        "9606\t2\tGO:2\ty\tinvolved_in\ta process\t-\tProcess\n9606\t2\tGO:3\tx\tNOT enables\tnothing\t-\tFunction\n"
        "10090\t2\tGO:4\tx\tenables\tmouse\t-\tFunction\n9606\t2\tGO:5\tx\tenables\tbinding\t-\tFunction\n"
    )
    out = tmp_path / "annotation.tsv"
    words = ["--gene-info", tmp_path / "info", "--gene2go", tmp_path / "go", "--out", out]
    assert main(["download", "annotation", *map(str, words)]) == 0
    table = pd.read_csv(out, sep="\t", keep_default_na=False).set_index("gene_id")
    assert list(table.index) == ["ENSG1", "ENSG2"]
    assert list(table.loc["ENSG2"]) == ["BBB", "protein_coding", "second gene", "", "a process; z process", "binding"]
    assert list(table.loc["ENSG1"]) == ["AAA", "ncRNA", "", "A1|A2", "", ""]


def test_manifest() -> None:
    manifest = Path(__file__).resolve().parents[3] / "resources" / "manifest.yaml"
    for name in ("geuvadis", "mage"):
        study = read_study(manifest, name)
        files = [file for by_contig in study.roles.values() for file in by_contig.values()]
        assert len({file.name for file in files}) == len(files) == 28
        assert all(file.url.startswith("https://") for file in files)
    assert (
        read_study(manifest, "geuvadis")
        .file("genotypes", "7")
        .url.endswith("/GEUVADIS.chr7.PH1PH2_465.IMPFRQFILT_BIALLELIC_PH.annotv2.genotypes.vcf.gz")
    )
    with pytest.raises(UserError, match="has no file 'x'"):
        read_study(manifest, "mage").named("x")
