"""Settings of the attribution stage."""

from dataclasses import dataclass

from gta.settings import setting


@dataclass(frozen=True)
class AttributionSettings:
    """Which tiles made the prediction."""

    haplotypes: int = setting(
        32,
        "Personal attribution is averaged over so many of a gene's most carried haplotypes, weighted by their carriers.",
        minimum=1,
    )
    over: str = setting(
        "reference",
        "Whose gradient x input, integrated gradients and prototype attention: those of the reference haplotype, or the mean over"
        " the most carried haplotypes of people (personal; so many times slower).",
        choices=("reference", "personal"),
    )
    figures: int = setting(
        6,
        "Figures are drawn of so many genes: those whose people the model tells apart most; without genotypes, those whose"
        " prediction tiles change most.",
        minimum=0,
    )
    figure_genes: list[str] = setting([], "Figures are drawn of these genes, too.")
    detailed: int = setting(
        6,
        "So many of the genes with figures, those of figure_genes first, also get integrated gradients, words, in-silico"
        " mutagenesis, logos and an interactive page. Most of the stage's time goes into them.",
        minimum=0,
    )
    integration_steps: int = setting(
        32, "Steps of the integrated gradients; raise it if completeness.tsv shows a gap.", minimum=2
    )
    mutated_bases: int = setting(
        500,
        "In-silico mutagenesis changes every base up to so many bp from the TSS, and every variant of the window in any case;"
        " 0: variants only (without genotypes there are none).",
        minimum=0,
    )
    assembly: str | None = setting(
        None, "UCSC's name of the genome, such as hg19 or hg38: a track hub is written for it. Empty: no hub."
    )
    bootstraps: int = setting(1000, "Resamples of genes for the intervals of the enrichment.", minimum=10)


#: Extractors that run in an environment of their own, in which there is no language side: no in-silico mutagenesis with these.
NOT_MUTATED = ("enformer", "borzoi")
