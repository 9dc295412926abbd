"""Settings of the cohort stage."""

from dataclasses import dataclass

from gta.errors import UserError
from gta.settings import setting


@dataclass(frozen=True)
class CohortSettings:
    """People, genes and windows of the study, and how expression is corrected."""

    window_length: int = setting(
        114_688,
        "Length of every window in bp, even; the TSS base stands at half of it. A multiple of the tile length.",
        minimum=2,
    )
    contigs: list[str] = setting([], "Only genes on these contigs (with or without chr). Empty: all contigs.")
    include_people: list[str] = setting([], "Only these people. Empty: everybody with genotypes and expression.")
    exclude_people: list[str] = setting([], "People to leave out, for example swapped samples.")
    include_genes: list[str] = setting([], "Only these genes (ids, with or without version). Empty: all genes.")
    exclude_genes: list[str] = setting([], "Genes to leave out (ids, with or without version).")
    biotypes: list[str] = setting([], "Only genes of these biotypes, for example protein_coding. Empty: all biotypes.")
    max_unknown_bases: int = setting(
        0, "Genes with more unknown bases (N, or past the contig's end) than this in their window are dropped, in bp.", minimum=0
    )
    min_expressed_fraction: float = setting(
        0.5, "Genes that are above zero in a smaller fraction of the training people than this are dropped.", minimum=0, maximum=1
    )
    unit: str = setting(
        "tpm",
        "Unit of the expression matrix: tpm is taken as given; rpkm is rescaled so that each person's genes sum to a million.",
        choices=("tpm", "rpkm"),
    )
    hidden_factors: int = setting(
        2,
        "Number of principal components of expression (batch, cell state) that are removed; fitted on the training people."
        " Choose 10 for a whole genome and hundreds of people, fewer for few genes. Without genotypes none is removed if there"
        " are too few individuals.",
        minimum=0,
    )
    valid_people: float = setting(
        0.1,
        "Fraction of the people, in each population, that training is stopped by. Does not apply without genotypes.",
        minimum=0.001,
        maximum=0.9,
    )
    test_people: float = setting(
        0.25,
        "Fraction of the people, in each population, that the evaluation alone sees. Does not apply without genotypes.",
        minimum=0.001,
        maximum=0.9,
    )
    held_out_population: str | None = setting(
        None,
        "Everybody of this population is test, nobody else (test_people is then not used): how do models do in people of other"
        " ancestry, or, with a second cohort's people named as a population, in another cohort? Empty: test people of every"
        " population.",
    )
    valid_genes: float = setting(0.1, "Fraction of the genes that training is stopped by.", minimum=0.001, maximum=0.9)
    test_genes: float = setting(0.25, "Fraction of the genes that the evaluation alone sees.", minimum=0.001, maximum=0.9)
    gene_blocks: int = setting(
        8,
        "Genes are split in this many blocks of neighbours (at least one per contig). More blocks meet the fractions more"
        " closely; fewer have fewer borders, at which genes are lost because their windows overlap.",
        minimum=3,
    )
    genes_without_expression: str = setting(
        "drop",
        "Genes of the GTF that the expression matrix lacks: drop leaves them out; predict keeps them, with the split unmeasured,"
        " outside of training and evaluation, and writes their predictions to predictions/genes_without_expression.tsv.",
        choices=("drop", "predict"),
    )


@dataclass(frozen=True)
class FoldSettings:
    """Folds of a cross-validation over the whole study: every gene is held out once."""

    by: str = setting("chromosome", "What a fold holds out: the genes of whole chromosomes.", choices=("chromosome",))
    number: int = setting(5, "Number of folds, at most that of the chromosomes with genes.", minimum=2, maximum=1000)


def check(settings: CohortSettings) -> None:
    """What the type of a setting alone does not tell.

    Raises:
        UserError: naming the settings that contradict each other.
    """
    if settings.window_length % 2:
        raise UserError(f"window_length: {settings.window_length} is odd; give an even number, so that the TSS is in the middle.")
    for kind in ("people", "genes"):
        valid, test = getattr(settings, f"valid_{kind}"), getattr(settings, f"test_{kind}")
        if valid + test >= 1:
            raise UserError(f"valid_{kind} ({valid:g}) and test_{kind} ({test:g}) leave nothing for training: lower one of them.")
