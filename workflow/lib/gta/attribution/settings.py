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
    figures: int = setting(6, "Figures are drawn of so many genes: those whose people the model tells apart most.", minimum=0)
    figure_genes: list[str] = setting([], "Figures are drawn of these genes, too.")
    bootstraps: int = setting(1000, "Resamples of genes for the intervals of the enrichment.", minimum=10)
