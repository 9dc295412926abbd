"""Mean expression read from which tokens a prompt has: as scikit-learn weighs them, and nothing of other genes."""

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from gta.aligner.lexical import TokenCounts, fit_vocabulary
from gta.aligner.solve import mean_inputs, solve_mean_readout
from toy_cohort import make_cohort, make_language_model, make_prompts, make_store, make_training

TOKENS = [[1, 5, 5, 9], [5, 7, 9], [1, 9, 9, 9, 12], [5, 12, 12, 9], [1, 7, 9], [20, 21, 9]]


def test_weights_are_those_of_scikit_learn() -> None:
    prompts = make_prompts(make_language_model(), TOKENS)
    vocabulary = fit_vocabulary(prompts, torch.arange(5))
    assert vocabulary[0].tolist() == [1, 5]  # 9 is in all prompts, 7 and 12 in two
    counts = TokenCounts(2)
    counts.take(vocabulary)
    got = counts(prompts, torch.arange(6)).numpy()
    texts = [" ".join(f"t{token}" for token in tokens) for tokens in TOKENS]
    expected = TfidfVectorizer(sublinear_tf=True, vocabulary=["t1", "t5"]).fit(texts[:5]).transform(texts).toarray()
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert (got[5] == 0).all()


def test_tokens_of_other_genes_do_not_choose_the_vocabulary() -> None:
    model = make_language_model()
    first = fit_vocabulary(make_prompts(model, TOKENS), torch.arange(5))
    other = fit_vocabulary(make_prompts(model, [*TOKENS[:5], [30, 31, 32]]), torch.arange(5))
    assert all(torch.equal(one, two) for one, two in zip(first, other, strict=True))


def test_the_read_out_has_a_block_of_tokens_and_predicts_from_it() -> None:
    store = make_store()
    cohort, model = make_cohort(store), make_language_model()
    tokens = [[1, 2 + gene % 2, 4 + gene % 3, 7 + gene] for gene in range(len(cohort.genes))]
    training = make_training(cohort, store, model, tokens=tokens, prompt_tokens=True)
    aligner = training.setup.aligner
    size = aligner.mean_readout.blocks["prompt_tokens"]
    assert size == aligner.config.prompt_tokens > 0
    genes = cohort.gene_numbers("train")
    inputs = mean_inputs(training.setup, genes)
    assert inputs.shape[1] == sum(aligner.mean_readout.blocks.values())
    lengths = np.linalg.norm(inputs[:, -size:], axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0)) and lengths.any()
    solve_mean_readout(training.setup)
    trained = training.setup.predict(genes, cohort.people_numbers("train"))[0]
    assert torch.isfinite(trained).all()
    assert "prompt_tokens" not in make_training(cohort, store, model).setup.aligner.mean_readout.blocks
    without = make_training(cohort, store, model, prompt_tokens=True, language_model="none").setup.aligner
    assert without.config.prompt_tokens == 0
