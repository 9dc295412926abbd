"""The table of ablations: every difference in the same direction, with its own interval."""

from pathlib import Path

import pytest

from gta.cli import main
from gta.errors import UserError
from gta.evaluation.ablations import ablation_table, read_comparisons

COMPARISONS = """\
regime\tmetric\tmodel_a\tmodel_b\tn_genes\tn_people\tdifference\tci_low\tci_high
across_genes\tspearman_difference\tgta\tno_llm\t20\t30\t0.2\t0.05\t0.4
across_genes\tspearman_difference\tblank\tgta\t20\t30\t0.1\t0.02\t0.5
across_genes\tspearman_difference\tblank\tno_llm\t20\t30\t0.3\t0.1\t0.4
seen_genes_unseen_people\tmean_difference\tblank\tgta\t40\t30\t0.01\t-0.02\t0.03
"""


def test_differences_are_of_the_whole_model_minus_the_ablation(tmp_path: Path) -> None:
    (tmp_path / "comparisons.tsv").write_text(COMPARISONS)
    out = tmp_path / "a.tsv"
    words = ["evaluation", "ablations", "--comparisons", tmp_path / "comparisons.tsv", "--model", "gta", "--out", out]
    words += ["--ablation", "blank", "prompt: blank", "--ablation", "no_llm", "language_model: none"]
    assert main([str(word) for word in words]) == 0
    assert (tmp_path / "a.tsv").read_text() == (
        "ablation\tchange\tregime\tmetric\tn_genes\tn_people\tdifference\tci_low\tci_high\tdecided\n"
        "blank\tprompt: blank\tacross_genes\tspearman_difference\t20\t30\t-0.1\t-0.5\t-0.02\tworse\n"
        "blank\tprompt: blank\tseen_genes_unseen_people\tmean_difference\t40\t30\t-0.01\t-0.03\t0.02\topen\n"
        "no_llm\tlanguage_model: none\tacross_genes\tspearman_difference\t20\t30\t0.2\t0.05\t0.4\tbetter\n"
    )


def test_a_model_that_was_not_evaluated_is_named(tmp_path: Path) -> None:
    (tmp_path / "comparisons.tsv").write_text(COMPARISONS)
    with pytest.raises(UserError, match="compares 'gta' and 'random_llm' nowhere"):
        ablation_table(read_comparisons(tmp_path / "comparisons.tsv"), "gta", {"random_llm": ""})
