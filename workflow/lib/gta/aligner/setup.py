"""What a training starts from: data, model, language model and prompts, fitted to each other."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from gta.aligner.context import Pieces, divide
from gta.aligner.data import AlignerData, Scaling, require_same_people, with_random_features
from gta.aligner.lexical import fit_vocabulary
from gta.aligner.model import Aligner, AlignerConfig
from gta.aligner.predict import place, predict_people
from gta.aligner.reading import Reader, make_reader, prompt_rows
from gta.aligner.settings import AlignerSettings, check, for_reference_study
from gta.cohort.tables import Cohort
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig, config_of
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.language.cache import PromptCache
from gta.language.models import fingerprint, reads_both_ways, word_embeddings
from gta.language.prototypes import Prototypes
from gta.processes import Workers

#: Settings that change nothing in the weights.
HARMLESS = ("checkpoint_minutes", "tensorboard")

#: The linear branch is solved for at most so many weights.
MAX_COLUMNS = 4096

#: Learnt prototypes that need more memory than this, in GB, are warned of.
LARGE = 1.0


@dataclass(frozen=True)
class Setup:
    """A model with what it is trained on.

    Attributes:
        cohort: People, genes and expression.
        settings: Settings of the aligner.
        seed: The seed that everything random follows from.
        workers: The processes that share the training.
        gene_mean: (genes,) mean expression over the training people, natural log.
        gene_sd: (genes,) its standard deviation, at least 0.001.
        data: The features, scaled.
        aligner: The aligner with fresh weights, which the training changes.
        language_model: The frozen language model.
        reader: Language model and prompts as the aligner reads with them.
        language_model_sha256: Fingerprint of the language model.
        frozen_sha256: The same as it is read, which differs where its precision does.
        fingerprint: SHA-256 of everything that decides how the training goes.
    """

    cohort: Cohort
    settings: AlignerSettings
    seed: int
    workers: Workers
    gene_mean: np.ndarray
    gene_sd: np.ndarray
    data: AlignerData
    aligner: Aligner
    language_model: PreTrainedModel
    reader: Reader
    language_model_sha256: str
    frozen_sha256: str
    fingerprint: str

    def predict(self, genes: Sequence[int], people: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted mean and deviation of people for some genes, each (g, n), averaged over their haplotypes."""
        with self.workers.autocast():
            return predict_people(self.aligner, self.data, self.reader, genes, people)


def set_up(
    cohort: Cohort,
    store: FeatureStore,
    language_model: PreTrainedModel,
    language_model_name: str,
    prompts: PromptCache,
    prototypes: Prototypes,
    settings: AlignerSettings,
    seed: int,
    reference: dict[str, str] | None = None,
    compressor: AttentionOnlyCompressor | None = None,
) -> Setup:
    """Set up data and model of a training, or of the share of one of several processes in it.

    Args:
        cohort: People, genes and expression.
        store: Features of all contigs.
        language_model: The frozen language model.
        language_model_name: Where it is from.
        prompts: Its prompts.
        prototypes: Its text prototypes.
        settings: Settings of the aligner.
        seed: The seed.
        reference: SHA-256 of the sequence of every contig of the reference, so that no other one is used to predict.
        compressor: The trained compressor of prompts, if it is to be trained further.

    Raises:
        UserError: if these do not fit together.
    """
    workers = Workers(settings.device, settings.precision)
    torch.manual_seed(seed)
    language_model_sha256 = fingerprint(language_model)
    if prototypes.model != language_model_sha256:
        raise UserError("The text prototypes were made from another language model: make them again.")
    if cohort.reference_study:
        settings = replace(for_reference_study(settings), modulation=0)
    _check(settings, cohort, workers, tuned=compressor is not None)
    expression = cohort.expression[:, cohort.people_numbers("train")]
    gene_mean, gene_sd = expression.mean(axis=1), np.maximum(expression.std(axis=1), 1e-3)
    train_genes = cohort.gene_numbers("train")
    require_same_people(store, cohort)
    features = store.digest()
    if settings.random_features:
        store = with_random_features(store, seed)
    scaling = Scaling.fit(store, [cohort.gene_names[i] for i in train_genes], cohort.people_numbers("train"))
    data = AlignerData(cohort, store, scaling)
    words = word_embeddings(language_model)
    if words.shape[1] % settings.heads:
        raise UserError(f"aligner.heads: {settings.heads} does not divide the language model's width {words.shape[1]}.")
    token_edges = data.token_edges(settings.aligned_tokens or None)
    pieces = _pieces(settings, data, token_edges)
    if compressor:
        _check_compressor(settings, compressor.config)
    if reads_both_ways(language_model) and (compressor or pieces):
        raise UserError("aligner.context, aligner.tune_compressor: an encoder reads no memory; take a causal language model.")
    counted = _counted_tokens(settings, prompts, cohort, seed)
    config = AlignerConfig(
        features=len(store.feature_names),
        width=words.shape[1],
        heads=settings.heads,
        dropout=settings.dropout,
        additive=settings.additive,
        tokens_learn_means=settings.tokens_learn_means,
        language_model=settings.language_model,
        prompt=settings.prompt,
        seed=seed,
        extractor=store.extractor,
        extractor_weights=store.weights,
        random_features=settings.random_features,
        alignment=settings.alignment,
        token_edges=token_edges,
        reference=reference or {},
        prompt_layers=_prompt_layers(settings, prompts),
        modulation=_modulation(settings, prompts, len(store.feature_names)),
        tile_length=store.tile_length,
        tiles=data.tiles,
        target_mean=float(gene_mean[train_genes].mean()),
        target_sd=float(max(gene_mean[train_genes].std(), 1e-3)),
        language_model_name=language_model_name,
        language_model_sha256=language_model_sha256,
        prompt_compressor=asdict(compressor.config) if compressor else {},
        context_compressor=_context_compressor(settings, seed, language_model_sha256) if pieces else {},
        context_edges=pieces.edges if pieces else [],
        context_near=pieces.near if pieces else 0,
        extractor_head={} if settings.random_features else store.head,
        prompt_tokens=len(counted[0]),
        with_tokens=settings.aligned_tokens != 0,
        tile_features=settings.tile_features,
        kernel_landmarks=min(settings.landmarks, len(train_genes)) if settings.kernel == "gaussian" else 0,
        mean_only=cohort.reference_study,
        hidden_width=0 if prompts.states.shape[3] == words.shape[1] else prompts.states.shape[3],
    )
    token_scale = float(words.pow(2).mean().sqrt())
    vocabulary = _vocabulary(words, len(prototypes.vectors), workers) if settings.alignment == "linear" else None
    aligner = Aligner(config, prototypes.vectors, scaling, token_scale, vocabulary, language_model)
    if aligner.token_counts is not None:
        aligner.token_counts.take(counted)
    if compressor and aligner.prompt_compressor:
        aligner.prompt_compressor.load_state_dict(compressor.state_dict())
    reader = make_reader(
        language_model,
        prompts,
        cohort.gene_names,
        aligner.positions(data.tiles, int(prompts.next_positions.max())),
        settings.language_model,
        settings.prompt,
        seed,
        language_model_sha256,
    )
    run = run_fingerprint(settings, cohort, features, aligner, reader, workers)
    aligner.to(workers.device)
    reader = place(reader, workers)
    return Setup(
        cohort=cohort,
        settings=settings,
        seed=seed,
        workers=workers,
        gene_mean=gene_mean,
        gene_sd=gene_sd,
        data=data,
        aligner=aligner,
        language_model=language_model,
        reader=reader,
        language_model_sha256=language_model_sha256,
        frozen_sha256=fingerprint(language_model) if workers.bfloat16 else language_model_sha256,
        fingerprint=run,
    )


def run_fingerprint(
    settings: AlignerSettings, cohort: Cohort, features: str, aligner: Aligner, reader: Reader, workers: Workers
) -> str:
    """SHA-256 of everything that decides how a run goes: settings, seed, first weights, language model, prompts and data."""
    chosen = {key: value for key, value in asdict(settings).items() if key not in HARMLESS}
    digest = hashlib.sha256(json.dumps([chosen, asdict(aligner.config)], sort_keys=True).encode())
    digest.update(
        json.dumps(
            [str(workers.device.type), workers.count, torch.__version__, cohort.gene_names, cohort.people_names, features]
        ).encode()
    )
    digest.update(fingerprint(aligner).encode())
    splits = [table["split"].str.cat(sep=",").encode() for table in (cohort.genes, cohort.people)]
    prompts = [reader.prompts.sha256().encode()] if reader.prompts else []
    for part in (cohort.expression.tobytes(), *splits, *prompts):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _check(settings: AlignerSettings, cohort: Cohort, workers: Workers, tuned: bool) -> None:
    """Refuse what cannot be trained; warn of what is known to fail."""
    check(settings)
    if settings.aligned_tokens == 0 and not cohort.reference_study:
        raise UserError(
            "aligner.aligned_tokens: 0 is for studies without genotypes: differences between individuals are read at aligned"
            " tokens; give 2 or more, or leave the key out."
        )
    if cohort.reference_study and settings.tune_compressor and not settings.tokens_learn_means:
        raise UserError(
            "aligner.tune_compressor: without genotypes nothing trains the compressor unless tokens_learn_means is set; set it,"
            " or leave tune_compressor out."
        )
    if settings.tune_compressor != tuned:
        raise UserError("aligner.tune_compressor: a trained compressor is given if, and only if, it is to be tuned.")
    if cohort.reference_study:
        _say_reference_study(settings, workers)
        return
    if len(cohort.people_numbers("valid")) < 2:
        raise UserError("Training needs at least two validation people: raise cohort.valid_people.")
    if settings.pair_weight == 0 and not settings.tokens_learn_means:
        raise UserError("aligner.pair_weight is 0, so nothing trains the tokens: raise it or set tokens_learn_means.")
    if settings.people_loss == "single" and workers.main:
        print(
            "aligner.people_loss: single was chosen: trained on single people, such models failed to tell people apart"
            " in every published attempt; pairs is the loss that works.",
            file=sys.stderr,
            flush=True,
        )


def _say_reference_study(settings: AlignerSettings, workers: Workers) -> None:
    """Say what is trained without genotypes, and what does not apply."""
    if workers.main:
        what = (
            "the read-out and the aligned tokens are trained on it" if settings.tokens_learn_means
            else "its read-out is solved in closed form, and nothing is trained by gradient descent"
        )  # fmt: skip
        print(
            f"No genotypes: mean expression alone is predicted; {what}. The loss on individuals, people_per_epoch,"
            f" people_per_gene, pair_weight and modulation do not apply; {settings.select} chooses the best epoch.",
            file=sys.stderr,
            flush=True,
        )


def _prompt_layers(settings: AlignerSettings, prompts: PromptCache) -> int:
    """How many layers' hidden states of the prompt are read: all; the token embeddings alone where no language model reads."""
    return {"none": 0, "attention": 1}.get(settings.language_model, prompts.states.shape[1])


def _counted_tokens(
    settings: AlignerSettings, prompts: PromptCache, cohort: Cohort, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens of the prompts are counted, and their weights; none where no prompt is read, or slots stand for no tokens."""
    if not settings.prompt_tokens or settings.language_model == "none" or prompts.tokens is None:
        return torch.zeros(0, dtype=torch.long), torch.zeros(0)
    rows = prompt_rows(prompts, cohort.gene_names, settings.prompt, seed)
    return fit_vocabulary(prompts, rows[torch.from_numpy(cohort.gene_numbers("train"))])


def _modulation(settings: AlignerSettings, prompts: PromptCache, features: int) -> int:
    """How many components of the prompt's hidden states may change the linear branch: fewer where features are many."""
    if not settings.additive or not _prompt_layers(settings, prompts) or len(prompts.states) < 2:
        return 0
    return max(0, min(settings.modulation, MAX_COLUMNS // features - 1, len(prompts.states) - 1))


def _pieces(settings: AlignerSettings, data: AlignerData, token_edges: list[int]) -> Pieces | None:
    """How the tokens of a window are divided, if distal ones are compressed."""
    if settings.context == "none":
        return None
    upstream = data.upstream_tokens(token_edges)
    tokens = len(token_edges) - 1 if token_edges else data.tiles
    pieces = divide(upstream, tokens - upstream, settings.context_near, settings.context_chunk)
    if not pieces.distal:
        raise UserError(
            f"aligner.context_near: all {tokens} aligned tokens of a window are near, so nothing is compressed: lower it, or"
            " leave aligner.context out."
        )
    return pieces


def _check_compressor(settings: AlignerSettings, given: CompressorConfig) -> None:
    """Refuse another compressor of prompts than the settings name."""
    wanted = config_of(settings.compressor, settings.memory_tokens, given.positions, given.seed, given.language_model_sha256)
    if given != wanted:
        raise UserError(
            f"aligner.compressor: {settings.compressor} with {settings.memory_tokens} memory tokens is to be tuned, but the"
            f" compressor that was given is {given.encoder} with {given.memory_tokens}: give the right one."
        )


def _context_compressor(settings: AlignerSettings, seed: int, language_model_sha256: str) -> dict[str, Any]:
    """What compresses distal tokens: cut out of the language model as it is, and trained with the aligner."""
    return asdict(config_of(settings.context, settings.context_memory_tokens, "prefix", seed, language_model_sha256))


def _vocabulary(words: torch.Tensor, prototypes: int, workers: Workers) -> torch.Tensor:
    """The word embeddings, (V, D), which prototypes are learnt from; with a warning if that takes much memory."""
    weights = len(words) * prototypes
    # Weights, gradients, two moments of AdamW and the best weights.
    gigabytes = 5 * 4 * weights / 1e9
    if gigabytes > LARGE and workers.main:
        print(
            f"aligner.alignment: linear trains {weights:,} weights over the {len(words):,} words of the vocabulary, about"
            f" {gigabytes:.1f} GB of memory; kmeans needs none, fewer language.prototypes need less.",
            file=sys.stderr,
            flush=True,
        )
    return words
