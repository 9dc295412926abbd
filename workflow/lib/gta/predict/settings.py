"""Settings of the prediction of new people."""

from dataclasses import dataclass

from gta.settings import setting


@dataclass(frozen=True)
class PredictSettings:
    """New people, whom `snakemake predict` predicts with a trained model; nothing of the study is repeated."""

    genotypes: str | None = setting(
        None, "Phased genotypes of the new people: VCF or BCF as under `data`. Empty: nobody is predicted."
    )
    reference: str | None = setting(
        None,
        "Reference genome of these genotypes, to make sure that it is that of the training. Empty: it is not compared.",
    )
    genes: str | None = setting(
        None,
        "Text file with one gene per line, id or symbol, out of the gene annotation of the study. Empty: the genes of the study.",
    )
    contigs: list[str] = setting([], "Contigs of these genes, one job each. Empty: those of the study.")
    model: str = setting("gta", "The model, by its name under `models`; all of its seeds predict.")
