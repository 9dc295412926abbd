"""Sentences of the overview: they claim what both intervals allow, and no more."""

import numpy as np
import pandas as pd
import pytest

from gta.report.findings import (
    Ablation,
    ablation_sentence,
    ablations,
    baseline_sentence,
    enrichment_sentence,
    headline_sentence,
    sign_sentence,
    text_sentence,
    verdict,
)

ACROSS, SEEN, UNSEEN = "across_genes", "seen_genes_unseen_people", "unseen_genes_unseen_people"
NO_LLM = Ablation("no_llm", {"language_model": "none"})


def summary(seeds: int) -> pd.DataFrame:
    columns = ["model", "regime", "metric", "n_seeds", "n_genes", "n_people", "value", "ci_low", "ci_high", "null_high"]
    rows = [
        ("gta", ACROSS, "spearman", seeds, 18, 86, 0.38, -0.27, 0.8, 0.41),
        ("no_llm", ACROSS, "spearman", seeds, 18, 86, 0.08, -0.4, 0.5, 0.4),
        ("elastic_net", ACROSS, "spearman", 1, 0, 86, *[np.nan] * 4),
        ("gta", SEEN, "mean_spearman", seeds, 51, 86, 0.07, 0.02, 0.11, 0.02),
        ("no_llm", SEEN, "mean_spearman", seeds, 51, 86, 0.02, 0.0, 0.1, 0.02),
        ("elastic_net", SEEN, "mean_spearman", 1, 51, 86, 0.1, 0.05, 0.15, 0.02),
    ]
    return pd.DataFrame(rows, columns=columns)


def comparisons(*rows: tuple[str, str, float, float, float, float, float]) -> pd.DataFrame:
    """(other model, regime, difference, interval over genes, interval over people)."""
    metrics = {ACROSS: "spearman_difference"}
    table = [("gta", other, regime, metrics.get(regime, "mean_difference"), 51, *values) for other, regime, *values in rows]
    columns = ["model_a", "model_b", "regime", "metric", "n_genes", "difference", "ci_low", "ci_high"]
    return pd.DataFrame(table, columns=[*columns, "people_ci_low", "people_ci_high"])


def per_gene(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame([(m, s, SEEN, v) for m, s, v in rows], columns=["model", "seed", "regime", "spearman"])


def test_models_that_differ_from_the_first_are_ablations_of_what_differs() -> None:
    settings = {"gta": {"prompt": "full", "heads": 4}, "other": {"prompt": "shuffled", "heads": 4}, "twin": {"prompt": "full"}}
    assert ablations(settings, "gta") == [Ablation("other", {"prompt": "shuffled"})]
    assert ablations(settings, "gta")[0].part == "Prompt"
    assert ablations({}, "gta") == []


def test_the_headline_says_whether_chance_does_as_well() -> None:
    across, seen = (headline_sentence(summary(1), "gta", regime) for regime in (ACROSS, SEEN))
    assert across is not None and across.startswith("Across genes, gta is not above what permuted data reach. ")
    assert "+0.38, [-0.27, +0.80] over genes (18 genes, 86 held-out people)" in across
    assert "upper bound of permuted data +0.41. Best of the others: no_llm, +0.08." in across
    assert seen is not None and "gta is above what" in seen and "Best of the others: elastic_net, +0.10." in seen
    assert headline_sentence(summary(1), "elastic_net", ACROSS) is None


@pytest.mark.parametrize(
    ("genes", "people", "said"),
    [
        ((0.01, 0.1), (0.02, 0.1), "Language model: gta is higher with it across people on seen genes, in one training of each."),
        ((-0.01, 0.1), (0.02, 0.1), "Language model: no difference is shown, in one training of each."),
        (
            (-0.2, -0.1),
            (-0.2, -0.1),
            "Language model: gta is lower with it across people on seen genes, in one training of each.",
        ),
    ],
)
def test_an_ablation_is_decided_by_both_intervals(genes: tuple[float, float], people: tuple[float, float], said: str) -> None:
    pairs = comparisons(("no_llm", ACROSS, 0.3, -0.3, 0.9, 0.2, 0.4), ("no_llm", SEEN, 0.05, *genes, *people))
    text = ablation_sentence(pairs, summary(1), per_gene(), "gta", NO_LLM)
    assert text is not None and text.startswith(said)
    assert (
        "gta minus no_llm (language_model: none): across genes +0.30, [-0.30, +0.90] over genes, [+0.20, +0.40] over people"
        in text
    )
    assert text.endswith("One seed each: what the chance of training does is not known.")


def test_what_each_seed_reaches_is_told() -> None:
    pairs = comparisons(("no_llm", SEEN, 0.05, 0.01, 0.1, 0.01, 0.1))
    rows = per_gene(("gta", "1", 0.2), ("gta", "1", np.nan), ("gta", "2", 0.3), ("no_llm", "1", 0.04), ("no_llm", "2", -0.02))
    text = ablation_sentence(pairs, summary(2), rows, "gta", NO_LLM)
    assert text is not None
    assert text.endswith("Seed by seed, across people on seen genes: gta +0.100, +0.300; no_llm +0.040, -0.020.")
    assert ablation_sentence(pairs, summary(2), rows, "gta", Ablation("absent", {"prompt": "none"})) is None


def test_the_elastic_net_is_compared_on_seen_genes() -> None:
    text = baseline_sentence(comparisons(("elastic_net", SEEN, -0.03, -0.09, 0.02, -0.07, -0.01)), "gta")
    assert text is not None and text.startswith("gta is not different from elastic_net across people on seen genes. ")
    assert text.endswith("-0.03, [-0.09, +0.02] over genes, [-0.07, -0.01] over people (51 genes).")
    assert baseline_sentence(comparisons(("no_llm", SEEN, 0.0, 0.0, 0.0, 0.0, 0.0)), "gta") is None


def test_baselines_that_read_text_are_compared_across_genes_only() -> None:
    pairs = comparisons(
        ("no_llm", ACROSS, 0.2, 0.1, 0.3, 0.1, 0.3),
        ("no_llm_and_prompt", ACROSS, -0.1, -0.2, -0.01, -0.2, -0.01),
        ("features_and_prompt", ACROSS, 0.1, 0.01, 0.2, -0.01, 0.2),
        ("prompt_ridge", ACROSS, 0.02, -0.1, 0.2, -0.1, 0.2),
        ("tfidf_ridge", ACROSS, 0.3, 0.1, 0.5, 0.1, 0.5),
        ("prompt_ridge", SEEN, 0.5, 0.4, 0.6, 0.4, 0.6),
    )
    text = text_sentence(pairs, "gta")
    assert text is not None
    assert text.startswith(
        "Across genes, gta is lower than no_llm_and_prompt and not different from features_and_prompt and prompt_ridge. "
    )
    assert text.endswith(
        "no_llm_and_prompt -0.10, [-0.20, -0.01] over genes; features_and_prompt +0.10, [+0.01, +0.20] over genes;"
        " prompt_ridge +0.02, [-0.10, +0.20] over genes (51 genes)."
    )
    assert text_sentence(pairs[pairs["model_b"] == "no_llm"], "gta") is None


def enrichment(over_nearness: float, over_gc: float, beyond: float) -> pd.DataFrame:
    """A table whose best measure, `personal`, has these lower bounds."""
    rows = []
    for measure, auroc in (("deletion", 0.5), ("personal", 0.6), ("nearness_to_tss", 0.55), ("gc_content", 0.58)):
        counts = {"region": "all", "measure": measure, "n_genes": 7, "n_tiles": 70, "n_positive": 9, "auroc": auroc}
        bounds = {"ci_low": 0.5, "ci_high": 0.7, "beyond": 0.1, "beyond_high": 0.2}
        lows = {"difference_low": over_nearness, "over_gc_low": over_gc, "beyond_low": beyond}
        rows.append(counts | bounds | (lows if measure == "personal" else dict.fromkeys(lows, 1.0)))
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("lows", "said"),
    [
        ((0.01, 0.01, 0.01), "more than nearness to the TSS and GC content explain."),
        ((0.01, -0.01, 0.01), "more than other genes at the same distance, but not more than GC content alone."),
        (
            (-0.01, -0.01, 0.01),
            "more than other genes at the same distance, but not more than nearness to the TSS or GC content alone.",
        ),
        ((0.01, -0.01, -0.01), "nothing beyond the distance from the TSS."),
    ],
)
def test_enrichment_has_to_beat_its_baselines(lows: tuple[float, float, float], said: str) -> None:
    text = enrichment_sentence(enrichment(*lows), "gta")
    assert (
        text is not None
        and f"at known elements: {said} 9 of 70 tiles of 7 genes" in text
        and "AUROC 0.60 [0.50, 0.70]" in text
        and "personal" in text
    )
    assert enrichment_sentence(enrichment(*lows)[:0], "gta") is None


def test_signs_that_are_known_come_before_those_of_the_test_people() -> None:
    columns = ["signs_of", "against", "threshold", "n_genes", "n_agree", "share", "p_value"]
    own = [("predicted", "test people", 1.0, 6, 4, 0.67, 0.69), ("predicted", "test people", 0.05, 3, 3, 1.0, 0.25)]
    known = [("predicted", "published slopes", 1.0, 8, 3, 0.4, 0.73)]
    known += [
        ("predicted, unseen genes", "published slopes", 1.0, 2, 1, 0.5, 1.0),
        ("test people", "published slopes", 1.0, 8, 8, 1.0, 0.008),
    ]
    text = sign_sentence(pd.DataFrame(own, columns=columns), "gta")
    assert text is not None and "of the test people in 4 of 6 genes. By chance" in text
    text = sign_sentence(pd.DataFrame([*own, *known], columns=columns), "gta")
    assert text is not None and "of the published slopes in 3 of 8 genes" in text
    assert text.endswith("In unseen genes alone: 1 of 2. Slopes of the test people have them in 8 of 8.")
    assert sign_sentence(pd.DataFrame(columns=columns), "gta") is None


def test_without_genotypes_the_individuals_are_not_held_out() -> None:
    table = summary(1)
    table.loc[table["regime"] != ACROSS, ["n_genes", "value", "ci_low", "ci_high", "null_high"]] = [0, *[np.nan] * 4]
    for people, words in ((86, "18 genes, mean expression over 86 individuals)"), (1, "18 genes, expression of one individual)")):
        said = headline_sentence(table.assign(n_people=people), "gta", ACROSS)
        assert said is not None and words in said
    assert headline_sentence(table, "gta", SEEN) is None


def test_without_an_interval_over_people_that_over_genes_decides() -> None:
    assert verdict(0.1, 0.2, np.nan, np.nan) == "higher"
    assert verdict(-0.2, -0.1, np.nan, np.nan) == "lower"
    assert verdict(-0.1, 0.2, np.nan, np.nan) == "not different"
    table = comparisons(("no_llm", ACROSS, 0.2, 0.1, 0.3, np.nan, np.nan))
    two_seeds = summary(2)
    said = ablation_sentence(table, two_seeds, per_gene()[:0], "gta", NO_LLM)
    assert said is not None and said.endswith("across genes +0.20, [+0.10, +0.30] over genes.")
    assert "gta is higher with it across genes" in said
