"""Does the known cis signal of real data come back? The elastic net on every gene of a region, for some divisions of the people.

Genotypes, expression and people belong together only if a linear model of a gene's own variants predicts, in people who were held
out, the genes that are known to have a strong cis variant. All genes are fitted, each on the training people of a division; the
correlation across the test people is taken gene by gene, with a permutation null and Benjamini-Hochberg over all genes. Strong
genes (best variant below 1e-5) are named twice: by all people, as published lists are, and by the training people of
the division alone, so that the choice cannot flatter the result. The figure is of the first division.

    make bench-cis-signal DATA=FOLDER [ARGS="--seeds 3"]

FOLDER holds reference.fa.gz, genotypes.vcf.gz, gencode.v19.chr22.gtf.gz, expression.rpkm.bed.gz and gene_annotation.tsv.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from gta.baselines import elastic_net, top_eqtl
from gta.baselines.settings import ElasticNetSettings, TopEqtlSettings
from gta.cli import main as gta
from gta.cohort.correction import HiddenFactors, log_tpm, to_tpm
from gta.cohort.genes import choose_genes
from gta.cohort.people import choose_people, split_people
from gta.cohort.run import log
from gta.cohort.settings import CohortSettings
from gta.cohort.tables import Cohort
from gta.evaluation.models import Model
from gta.evaluation.score import Scorer
from gta.evaluation.settings import EvaluationSettings
from gta.haplotypes import PanelSet
from gta.inputs.tables import read_contigs, read_expression, read_genes, read_names, read_people
from gta.report.cis_signal import LEVEL, STRONG, draw, joined
from gta.report.style import save

RESULTS = Path(__file__).resolve().parent / "results"
WINDOW, FACTORS = 196_608, 10
FILES = {
    "reference": "reference.fa.gz",
    "genotypes": "genotypes.vcf.gz",
    "genes": "gencode.v19.chr22.gtf.gz",
    "expression": "expression.rpkm.bed.gz",
    "annotation": "gene_annotation.tsv",
}


def make_cohort(inputs: Path, contig: str, seed: int) -> Cohort:
    """All expressed genes of a contig as genes of the training, and people divided by a seed."""
    settings = CohortSettings(
        window_length=WINDOW, max_unknown_bases=WINDOW, unit="rpkm", hidden_factors=FACTORS, contigs=[contig]
    )
    matrix, everybody = read_expression(inputs), read_people(inputs)
    chosen, _ = choose_people(list(everybody["person"]), list(matrix.columns), settings)
    people = everybody.set_index("person").loc[chosen, ["population"]]
    people["split"] = split_people(people["population"], settings, seed, log)
    training = (people["split"] == "train").to_numpy()
    tpm = to_tpm(matrix[chosen].to_numpy(dtype=np.float64))
    fraction = pd.Series((tpm[:, training] > 0).mean(axis=1), index=matrix.index)
    reference = inputs / read_names(inputs)["reference"]
    genes, _ = choose_genes(read_genes(inputs), read_contigs(inputs), fraction, reference, settings)
    expressed = (fraction >= settings.min_expressed_fraction).to_numpy()
    values = log_tpm(tpm[expressed])
    corrected = HiddenFactors.fit(values[:, training], FACTORS).remove(values)
    table = pd.DataFrame(corrected, index=matrix.index[expressed]).loc[genes["gene"]]
    return Cohort(people.reset_index(), genes.assign(block=0, split="train").reset_index(drop=True), table.to_numpy())


def write_cohort(cohort: Cohort, folder: Path) -> None:
    """What the stage `haplotypes` reads."""
    folder.mkdir()
    cohort.people.to_csv(folder / "people.tsv", sep="\t", index=False)
    cohort.genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    values = pd.DataFrame(cohort.expression, columns=cohort.people_names)
    values.insert(0, "gene", cohort.gene_names)
    values.to_parquet(folder / "expression.parquet")


def as_model(name: str, predictions: pd.DataFrame, cohort: Cohort) -> Model:
    """Predictions of all genes, reduced to the test people."""
    matrix = predictions["predicted"].to_numpy().reshape(cohort.expression.shape)
    return Model(name, ("",), np.round(matrix[None][:, :, cohort.people_numbers("test")], 6))


def measure(cohort: Cohort, panels: PanelSet, seed: int) -> tuple[dict[str, object], pd.DataFrame]:
    """Numbers of one division of the people, and `gta.report.cis_signal.joined` of it."""
    net, _, _ = elastic_net.fit_cohort(cohort, [panels], ElasticNetSettings(), seed)
    top, variants = top_eqtl.fit_cohort(cohort, [panels], TopEqtlSettings())
    everybody = Cohort(cohort.people.assign(split="train"), cohort.genes, cohort.expression)
    _, known = top_eqtl.fit_cohort(everybody, [panels], TopEqtlSettings())
    models = [as_model("elastic_net", net, cohort), as_model("top_eqtl", top, cohort)]
    genes = joined(Scorer(cohort, models, EvaluationSettings(), seed).per_gene(), variants)
    by_all = set(known.loc[known["p_value"] < STRONG, "gene"])
    found: dict[str, object] = {"genes": len(cohort.gene_names), "test_people": len(cohort.people_numbers("test"))}
    for name in ("elastic_net", "top_eqtl"):
        own = genes[genes["model"] == name]
        for label, strong in (("all_people", own["gene"].isin(by_all)), ("training_people", own["p_value"] < STRONG)):
            chosen = own[strong]
            found[f"{name}_strong_by_{label}"] = {
                "genes": len(chosen),
                f"significant_q_{LEVEL:g}": int(chosen["significant"].sum()),
                "mean_spearman": round(float(chosen["spearman"].mean()), 3),
                "other_genes_significant": int((own["significant"] & ~strong).sum()),
                "other_genes": int((~strong).sum()),
                "other_genes_mean_spearman": round(float(own.loc[~strong, "spearman"].mean()), 3),
            }
    return found, genes


def main() -> None:
    """Measure, write results and figure, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--contig", default="22")
    parser.add_argument("--seeds", type=int, default=3, help="divisions of the people, with the seeds 1, 2, ...")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    divisions = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        words = [word for key, name in FILES.items() for word in (f"--{key}", str(arguments.data / name))]
        if gta(["inputs", *words, "--out", str(work / "inputs")]):
            sys.exit(1)
        for seed in range(1, arguments.seeds + 1):
            cohort = make_cohort(work / "inputs", arguments.contig, seed)
            folder, panels = work / f"cohort{seed}", work / f"{seed}.npz"
            write_cohort(cohort, folder)
            words = ["--inputs", str(work / "inputs"), "--cohort", str(folder), "--contig", arguments.contig]
            if gta(["haplotypes", "build", *words, "--out", str(panels), "--account", str(work / "account.tsv")]):
                sys.exit(1)
            numbers, genes = measure(cohort, PanelSet.load(panels), seed)
            divisions.append({"seed": seed} | numbers)
            if seed == 1:
                save(draw(genes, ["elastic_net", "top_eqtl"], len(cohort.people_numbers("test"))), RESULTS / "cis_signal.svg")
    result = {"benchmark": "cis_signal", "window": WINDOW, "hidden_factors": FACTORS, "divisions": divisions}
    (RESULTS / "cis_signal.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
