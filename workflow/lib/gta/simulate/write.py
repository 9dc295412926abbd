"""The files of the simulation: standard formats, the same bytes for the same content."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gta.errors import UserError
from gta.simulate.elements import Site
from gta.simulate.expression import CausalVariant, Expression
from gta.simulate.genotypes import ContigGenotypes
from gta.simulate.layout import Gene, Layout
from gta.simulate.names import ANNOTATION_COLUMNS
from gta.simulate.text import GeneText

_FASTA_WIDTH = 60
#: Records that are formatted at a time.
_VCF_BLOCK = 4096
_VCF_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
_BED_COLUMNS = ("#chr", "start", "end", "gene", "length", "strand")


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`; its files move into `folder` if the block succeeds, and vanish if it fails.

    Other files in `folder` stay as they are.

    Raises:
        UserError: if `folder` is a file or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    except OSError as error:
        raise UserError(
            f"The output folder {folder} cannot be written ({error.strerror}): give a folder that you may write to."
        ) from error
    try:
        yield temporary
        for path in sorted(temporary.iterdir()):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _number(value: float) -> str:
    return f"{value:.10g}"


def write_table(path: Path, header: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write a tab-separated table; `header` names the columns with spaces between them; floats get 10 significant digits."""
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write("\t".join(header.split()) + "\n")
        for row in rows:
            handle.write("\t".join(_number(cell) if isinstance(cell, float) else str(cell) for cell in row) + "\n")


def write_reference(path: Path, sequences: dict[str, NDArray[np.uint8]]) -> None:
    """Write FASTA (60 bases a line) and its .fai index; sequences are (length,) uint8 ASCII."""
    import pysam

    with path.open("wb") as handle:
        for contig, bases in sequences.items():
            handle.write(f">{contig}\n".encode())
            whole = len(bases) // _FASTA_WIDTH
            lines = np.full((whole, _FASTA_WIDTH + 1), ord("\n"), dtype=np.uint8)
            lines[:, :-1] = bases[: whole * _FASTA_WIDTH].reshape(whole, _FASTA_WIDTH)
            handle.write(lines.tobytes())
            if len(bases) % _FASTA_WIDTH:
                handle.write(bases[whole * _FASTA_WIDTH :].tobytes() + b"\n")
    pysam.faidx(str(path))


class VcfWriter:
    """A bgzipped VCF that contigs are added to one after the other, with a tabix index once it is closed."""

    def __init__(self, path: Path, lengths: dict[str, int], people: list[str]) -> None:
        import pysam

        self._path = path
        self._handle = pysam.BGZFile(str(path), "wb", None)
        header = ["##fileformat=VCFv4.2", '##FILTER=<ID=PASS,Description="All filters passed">', "##source=gta simulate"]
        header += [f"##contig=<ID={contig},length={length}>" for contig, length in lengths.items()]
        header.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">')
        header.append("\t".join([*_VCF_COLUMNS, *people]))
        self._handle.write(("\n".join(header) + "\n").encode())

    def add_contig(self, contig: str, genotypes: ContigGenotypes, refs: list[str], alts: list[str]) -> None:
        """Write the records of one contig, in the order given."""
        positions = genotypes.positions.tolist()
        for start in range(0, len(positions), _VCF_BLOCK):
            haplotypes = genotypes.haplotypes[start : start + _VCF_BLOCK]
            calls = np.empty((haplotypes.shape[0], haplotypes.shape[1] * 2), dtype=np.uint8)
            calls[:, 0::4] = ord("\t")
            calls[:, 1::4] = haplotypes[:, 0::2] + ord("0")
            calls[:, 2::4] = ord("|")
            calls[:, 3::4] = haplotypes[:, 1::2] + ord("0")
            lines = [
                f"{contig}\t{positions[i] + 1}\t.\t{refs[i]}\t{alts[i]}\t.\tPASS\t.\tGT".encode() + calls[i - start].tobytes()
                for i in range(start, start + len(calls))
            ]
            self._handle.write(b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Finish the file and write its .tbi index."""
        import pysam

        self._handle.close()
        pysam.tabix_index(str(self._path), preset="vcf", force=True)


def write_gtf(path: Path, genes: list[Gene], symbols: list[str]) -> None:
    """Write gene, transcript and exon lines with GENCODE's attributes; exons are numbered in gene direction."""
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write("##description: simulated genes\n##provider: gta simulate\n##format: gtf\n")
        for gene, symbol in zip(genes, symbols, strict=False):
            transcript = gene.name.replace("SIMG", "SIMT")
            common = f'gene_type "protein_coding"; gene_name "{symbol}";'
            of_transcript = f'gene_id "{gene.name}"; transcript_id "{transcript}"; {common} transcript_type "protein_coding"; '
            of_transcript += f'transcript_name "{symbol}-201";'
            lines = [("gene", gene.start, gene.end, f'gene_id "{gene.name}"; {common} level 2;')]
            lines.append(("transcript", gene.start, gene.end, f"{of_transcript} level 2;"))
            for number, (start, end) in enumerate(gene.exons[:: gene.direction], start=1):
                exon = f'exon_number {number}; exon_id "{gene.name.replace("SIMG", "SIME")}.{number}"; level 2;'
                lines.append(("exon", start, end, f"{of_transcript} {exon}"))
            for feature, start, end, attributes in lines:
                handle.write(f"{gene.contig}\tSIMULATED\t{feature}\t{start + 1}\t{end}\t.\t{gene.strand}\t.\t{attributes}\n")


def write_expression(path: Path, genes: list[Gene], people: list[str], log_values: NDArray[np.float64]) -> None:
    """Write the bgzipped BED of TPM (6 significant digits) from (genes, people) ln TPM."""
    import pysam

    with pysam.BGZFile(str(path), "wb", None) as handle:
        handle.write(("\t".join([*_BED_COLUMNS, *people]) + "\n").encode())
        for gene, row in zip(genes, np.exp(log_values).tolist(), strict=True):
            length = sum(end - start for start, end in gene.exons)
            fields = [gene.contig, str(gene.tss), str(gene.tss + 1), gene.name, str(length), gene.strand]
            handle.write(("\t".join(fields + [f"{value:.6g}" for value in row]) + "\n").encode())


def write_annotation(path: Path, names: list[str], symbols: list[str], texts: list[GeneText]) -> None:
    """Write the text of every annotated gene."""
    rows = (
        (name, symbol, "protein_coding", text.description, text.go_bp, text.go_mf)
        for name, symbol, text in zip(names, symbols, texts, strict=True)
    )
    write_table(path, " ".join(ANNOTATION_COLUMNS), rows)


def write_truth_elements(path: Path, sites: list[Site]) -> None:
    """Write each planted site."""
    rows = (
        (s.gene, s.contig, s.start, s.end, s.strand, s.motif.name, s.motif.matrix_id, s.effect, s.distance, s.kind) for s in sites
    )
    write_table(path, "gene contig start end strand motif matrix_id effect distance kind", rows)


def write_truth_variants(path: Path, variants: list[CausalVariant]) -> None:
    """Write each variant that changes the occupancy of a planted site."""
    rows = (
        (
            v.site.gene,
            v.site.contig,
            v.position,
            v.ref,
            v.alt,
            v.site.motif.matrix_id,
            v.effect_per_allele,
            v.frequency,
            v.site.start,
            v.site.end,
        )
        for v in variants
    )
    write_table(path, "gene contig pos ref alt matrix_id effect_per_allele allele_frequency element_start element_end", rows)


def write_truth_genes(path: Path, layout: Layout, expression: Expression, texts: list[GeneText]) -> None:
    """Write what the expression of each gene is made of."""
    rows = (
        (
            gene.name,
            float(expression.levels[i]),
            float(expression.genetic_variance[i]),
            float(expression.noise_variance[i]),
            float(expression.covariate_variance[i]),
            float(expression.heritability[i]),
            texts[i].text_class.name,
        )
        for i, gene in enumerate(layout.genes)
    )
    write_table(path, "gene level genetic_variance noise_variance covariate_variance heritability text_class", rows)


def write_truth_modulation(path: Path, multipliers: dict[tuple[str, str], float]) -> None:
    """Write the multiplier of a site's effect for each text class and factor."""
    rows = ((text_class, motif, multiplier) for (text_class, motif), multiplier in multipliers.items())
    write_table(path, "text_class motif multiplier", rows)
