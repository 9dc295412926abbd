"""Predicting haplotypes and people with an aligner."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from gta.aligner.data import AlignerData, with_random_features
from gta.aligner.model import Aligner, read_config
from gta.aligner.reading import Reader, make_reader
from gta.baselines.predictions import mean_only_table
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.language.cache import PromptCache
from gta.language.models import fingerprint, load_frozen
from gta.memory import is_out_of_memory
from gta.processes import Workers

#: Haplotypes that are predicted at once, where memory suffices.
BATCH = 64


@dataclass(frozen=True)
class Trained:
    """A trained aligner and what it predicts from.

    Attributes:
        aligner: The aligner of one seed.
        data: The features of the cohort, scaled as in its training.
        reader: Language model and prompts.
        workers: Where and in which precision it computes.
    """

    aligner: Aligner
    data: AlignerData
    reader: Reader
    workers: Workers = field(default_factory=lambda: Workers("cpu"))

    def predict_haplotypes(self, gene: int, haplotypes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted mean and deviation of haplotypes of one gene, each (h,)."""
        with self.workers.autocast():
            return predict_haplotypes(self.aligner, self.data, self.reader, [(gene, haplotypes)])

    def predict_reference(self, genes: np.ndarray) -> torch.Tensor:
        """Predicted mean of the reference haplotype of some genes, (g,)."""
        with self.workers.autocast():
            requests = [(int(gene), np.zeros(1, dtype=int)) for gene in genes]
            return predict_haplotypes(self.aligner, self.data, self.reader, requests)[0]

    def predict_people(self, gene: int, people: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted mean and deviation of people for one gene, each (n,), averaged over their haplotypes."""
        with self.workers.autocast():
            mean, deviation = predict_people(self.aligner, self.data, self.reader, [gene], people)
            return mean[0], deviation[0]


def predict_cohort(trained: Trained, cohort: Cohort) -> pd.DataFrame:
    """Predictions for every gene and person of a cohort.

    Args:
        trained: The trained aligner.
        cohort: The cohort.

    Returns:
        `gene person mean deviation predicted`, natural log. The deviation is centred on the training people, whose mean it is
        defined against. It is NaN throughout if the aligner predicts mean expression only.
    """
    if trained.aligner.config.mean_only:
        genes = tqdm(range(0, len(cohort.genes), BATCH), desc="genes", file=sys.stderr, mininterval=5)
        means = [
            trained.predict_reference(np.arange(first, min(first + BATCH, len(cohort.genes)))).double().numpy() for first in genes
        ]
        return mean_only_table(cohort.gene_names, cohort.people_names, np.concatenate(means))
    everybody = np.arange(len(cohort.people))
    train = cohort.people_numbers("train")
    parts = []
    for number, gene in enumerate(tqdm(cohort.gene_names, desc="genes", file=sys.stderr, mininterval=5)):
        predicted = trained.predict_people(number, everybody)
        mean, deviation = (values.double().numpy() for values in predicted)
        deviation = deviation - deviation[train].mean()
        parts.append(
            pd.DataFrame(
                {
                    "gene": gene,
                    "person": cohort.people_names,
                    "mean": mean,
                    "deviation": deviation,
                    "predicted": mean[train].mean() + deviation,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def load_trained(
    folders: list[Path],
    cohort: Cohort,
    store: FeatureStore,
    language_model: Path,
    cache: Path,
    workers: Workers | None = None,
) -> list[Trained]:
    """Read trained aligners; the language model and its prompts are read once for all of them.

    Args:
        folders: Folders written by `gta aligner train`.
        cohort: The cohort.
        store: Its features, of all contigs.
        language_model: Folder of the language model.
        cache: Prompt cache.
        workers: Where and in which precision to compute; None: on the CPU, in float32.

    Raises:
        UserError: if the features or the language model are not those that an aligner was trained with.
    """
    model, prompts = load_frozen(language_model), PromptCache.load(cache)
    sha256 = fingerprint(model)
    workers = workers or Workers("cpu")
    trained = []
    for folder in folders:
        config = read_config(folder / "model")
        if sha256 != config.language_model_sha256:
            raise UserError(f"{folder} was trained with another language model than {language_model}: give that one.")
        given = (store.extractor, store.weights, store.tile_length, len(store.feature_names))
        if given != (config.extractor, config.extractor_weights, config.tile_length, config.features):
            raise UserError(
                f"{folder} was trained on other features than those given: compute the features with the same settings."
            )
        aligner = Aligner.from_pretrained(folder / "model", model)
        own = with_random_features(store, config.seed) if config.random_features else store
        data = AlignerData(cohort, own, aligner.scaling)
        if data.tiles != config.tiles:
            raise UserError(
                f"{folder} was trained on windows of {config.tiles} tiles, the features have {data.tiles}: compute them for"
                " windows of the same length."
            )
        reader = make_reader(
            model,
            prompts,
            cohort.gene_names,
            aligner.positions(data.tiles, int(prompts.next_positions.max())),
            config.language_model,
            config.prompt,
            config.seed,
            sha256,
        )
        trained.append(Trained(aligner, data, reader, workers))
    # Last, for compressors are cut out of the language model as it was read, and may share its MLPs.
    return [replace(each, aligner=each.aligner.to(workers.device), reader=place(each.reader, workers)) for each in trained]


def place(reader: Reader, workers: Workers) -> Reader:
    """The reader with its language model on the device of this process, in the precision in which it computes there."""
    if reader.language_model is None or reader.rows is None:
        return reader
    workers.place(reader.language_model)
    return replace(reader, rows=reader.rows.to(workers.device))


@torch.no_grad()
def predict_haplotypes(
    aligner: Aligner, data: AlignerData, reader: Reader, requests: Sequence[tuple[int, np.ndarray]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted mean and deviation of haplotypes of genes.

    Args:
        aligner: The aligner.
        data: Its data.
        reader: Language model and prompts.
        requests: Numbers of genes, and of the haplotypes of each.

    Returns:
        Two (h,) float32 tensors on the CPU, natural log: of all haplotypes in the order of the requests.
    """
    device = next(aligner.parameters()).device
    genes = np.repeat([gene for gene, _ in requests], [len(haplotypes) for _, haplotypes in requests])
    every = np.concatenate([haplotypes for _, haplotypes in requests])
    parts, at, size = [], 0, BATCH
    while at < len(every):
        some = slice(at, at + size)
        borders = np.flatnonzero(np.diff(genes[some])) + 1
        of_genes = zip(np.split(genes[some], borders), np.split(every[some], borders), strict=True)
        try:
            batch = data.batch([(int(gene[0]), haplotypes) for gene, haplotypes in of_genes]).to(device)
            parts.append(aligner(batch, reader.language_model, reader.prompts, reader.rows))
        except RuntimeError as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size //= 2
            continue
        at += size
    mean, deviation = (torch.cat(values).cpu() for values in zip(*parts, strict=True))
    return mean, deviation


def predict_people(
    aligner: Aligner, data: AlignerData, reader: Reader, genes: Sequence[int], people: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted mean and deviation of people for some genes, which share batches.

    Args:
        aligner: The aligner.
        data: Its data.
        reader: Language model and prompts.
        genes: (g,) numbers of the genes.
        people: (n,) numbers of the people.

    Returns:
        Two (g, n) float32 tensors, natural log, the mean over each person's haplotypes.
    """
    carried = [data.haplotypes(gene, people) for gene in genes]
    predicted = predict_haplotypes(aligner, data, reader, list(zip(genes, carried, strict=True)))
    sizes = [len(haplotypes) for haplotypes in carried]
    mean, deviation = (
        torch.stack(
            [
                data.person_means(gene, people, haplotypes, part)
                for gene, haplotypes, part in zip(genes, carried, values.split(sizes), strict=True)
            ]
        )
        for values in predicted
    )
    return mean, deviation
