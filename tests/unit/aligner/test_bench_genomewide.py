"""The genome-wide benchmark solves the read-out that the workflow solves, on whatever training genes, and compares cohorts."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd

from gta.aligner.predict import Trained
from gta.cohort.tables import Cohort
from toy_cohort import GENES, make_language_model, make_reference_study, make_training

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "genomewide.py"


def test_the_read_out_of_all_training_genes_is_that_of_the_workflow() -> None:
    cohort, store = make_reference_study(3)
    training = make_training(cohort, store, make_language_model(), kernel="gaussian", tile_features=True, aligned_tokens=0)
    training.run()
    setup = training.setup
    trained = Trained(setup.aligner.eval(), setup.data, setup.reader)
    bench = runpy.run_path(str(BENCHMARK))
    solve, genes = bench["readout"](trained, cohort), cohort.gene_numbers("train")
    predicted = solve(genes)
    np.testing.assert_allclose(predicted, trained.predict_reference(np.arange(GENES)).double().numpy(), rtol=1e-3, atol=1e-3)
    few = genes[:5]
    assert not np.allclose(solve(few), predicted, atol=1e-3)
    assert (bench["only"](cohort, few).gene_numbers("train") == few).all()


def test_another_cohort_is_matched_by_gene(tmp_path: Path) -> None:
    cohort, _ = make_reference_study(3)
    levels = cohort.expression.mean(axis=1)
    names = [f"{name}.4" for name in cohort.gene_names]
    frame = {"#chr": "22", "start": 1, "end": 2, "gene": names, "length": 1, "strand": "+", "one": np.exp(levels)}
    pd.DataFrame(frame).to_csv(tmp_path / "expression.rpkm.bed.gz", sep="\t", index=False)
    results = tmp_path / "results"
    for folder in ("cohort", "predictions"):
        (results / folder).mkdir(parents=True)
    cohort.people.to_csv(results / "cohort" / "people.tsv", sep="\t", index=False)
    cohort.genes.to_csv(results / "cohort" / "genes.tsv", sep="\t", index=False)
    matrix = pd.DataFrame(cohort.expression, index=pd.Index(cohort.gene_names, name="gene"), columns=cohort.people_names)
    matrix.reset_index().to_parquet(results / "cohort" / "expression.parquet")
    assert len(Cohort.load(results / "cohort").genes) == GENES
    pd.DataFrame({"gene": cohort.gene_names, "predicted": -levels}).to_parquet(results / "predictions" / "gta.seed1.parquet")
    table = runpy.run_path(str(BENCHMARK))["in_geuvadis"](results, tmp_path).set_index("model")
    assert table.index.tolist() == ["GM12878", "gta"] and (table["n_genes"] == GENES).all()
    assert table.loc["GM12878", "spearman"] == 1 and table.loc["gta", "spearman"] == -1
