"""The small variant of the genome-wide study on real sequence, text and expression, from nothing to the report's tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import run_in

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the small variant, read by the smallest real language model, on two of its chromosomes."""
    data = real_data / "gm12878-genomewide"
    if not data.is_dir():
        pytest.skip(f"no {data}")
    folder = tmp_path_factory.mktemp("genomewide")
    done = run_in(
        folder,
        *("--cores", 2, "--configfile", REPOSITORY / "config/genomewide.yaml", REPOSITORY / "config/genomewide_small.yaml"),
        *("--config", f"data_dir={data}", "cohort={contigs: [chr13, chr21]}", "aligner={landmarks: 64}"),
        f"language={{model: {real_data / 'models' / 'stories260k-llama'}, blocks: 3}}",
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return folder / "results" / "genomewide_small"


def test_every_gene_is_predicted_out_of_fold_and_better_than_by_text_length_or_sums_of_features(study: Path) -> None:
    summary = pd.read_csv(study / "evaluation" / "summary.tsv", sep="\t")
    scores = summary[(summary["regime"] == "across_genes") & (summary["metric"] == "spearman")].set_index("model")["value"]
    assert {"gta", "no_llm", "shuffled_prompt", "tfidf_ridge", "prompt_ridge", "text_length"} <= set(scores.index)
    # 175 training genes tell what sequence is worth, not what a language model of stories adds.
    assert scores["gta"] > 0.3 and scores["gta"] > scores[["text_length", "prompt_ridge", "ridge"]].max()
    predicted = pd.read_parquet(study / "predictions" / "gta.seed1.parquet")
    assert len(predicted) > 300 and np.isfinite(predicted["predicted"]).all()


def test_genes_without_expression_are_predicted_by_all_models(study: Path) -> None:
    table = pd.read_csv(study / "predictions" / "genes_without_expression.tsv", sep="\t")
    assert table.columns.tolist() == ["gene", "model", "predicted"] and np.isfinite(table["predicted"]).all()
    counts = table["model"].value_counts()
    assert {"gta", "no_llm", "shuffled_prompt", "tfidf_ridge"} <= set(counts.index) and (counts == counts.iloc[0]).all()
