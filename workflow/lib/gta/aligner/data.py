"""What the aligner reads: features, prompts and expression of genes and people, ready for batches."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from gta.aligner.tokens import token_edges
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes.carriers import pairs

#: Tile distances are coded at this scale: sign(d) ln(1 + |d| / 1 kb).
DISTANCE_UNIT = 1000.0


@dataclass(frozen=True)
class Batch:
    """Haplotypes to predict.

    Attributes:
        features: (B, T, F) float32, standardised, tiles in the gene's direction.
        difference: (B, T, F) float32, the same minus the reference haplotype's, at the scale of such differences.
        position: (B, T) float32, sign(d) ln(1 + |d| / 1 kb) of the tile's distance d from the TSS.
        gene: (B,) int64, number of the gene in the cohort.
    """

    features: torch.Tensor
    difference: torch.Tensor
    position: torch.Tensor
    gene: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(tensor.to(device) for tensor in (self.features, self.difference, self.position, self.gene)))


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations of the features, each (F,) float32, fitted on the training genes.

    Attributes:
        mean: Mean over the tiles of the reference haplotypes.
        sd: Standard deviation over the same.
        difference_sd: Root mean square of the non-zero differences of distinct tiles from the reference, in units of `sd`.
    """

    mean: torch.Tensor
    sd: torch.Tensor
    difference_sd: torch.Tensor

    @classmethod
    def fit(cls, genes: list[GeneFeatures], people: np.ndarray) -> "Scaling":
        """Fit on the given (training) genes and the haplotypes of the given (training) people, as numbers."""
        reference = np.concatenate([gene.haplotype(0) for gene in genes]).astype(np.float64)
        mean, sd = reference.mean(axis=0), reference.std(axis=0)
        sd[sd < 1e-6] = 1.0
        squares, counts = np.zeros_like(mean), np.zeros_like(mean)
        for gene in genes:
            carried = np.unique(gene.carriers[people])
            index = gene.index[carried[carried >= 0]]
            used, tiles = np.unique(np.stack([index.ravel(), np.tile(np.arange(index.shape[1]), len(index))]), axis=1)
            difference = (gene.rows[used] - gene.haplotype(0)[tiles]).astype(np.float64) / sd
            squares += (difference**2).sum(axis=0)
            counts += (difference != 0).sum(axis=0)
        difference_sd = np.sqrt(squares / np.maximum(counts, 1))
        difference_sd[difference_sd < 1e-6] = 1.0
        return cls(*(torch.from_numpy(array.astype(np.float32)) for array in (mean, sd, difference_sd)))


def with_random_features(store: FeatureStore, seed: int) -> FeatureStore:
    """A store in which every distinct tile has random numbers in place of its features.

    Tiles with equal features get equal numbers, everywhere. So it can still be learnt which tile somebody carries, as from
    genotypes, but not what the sequence is like: similar sequences have nothing in common any more. A random projection of the
    features would not do, because it keeps nearly all that is in them.

    Args:
        store: The features.
        seed: Seed of the numbers.
    """

    def replaced(rows: np.ndarray) -> np.ndarray:
        # 64 bits of the digest of each row seed its own numbers.
        seeds = [int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:8], "little") for row in rows]
        drawn = [np.random.default_rng([seed, number]).standard_normal(rows.shape[1], np.float32) for number in seeds]
        return np.stack(drawn)

    by_gene = {name: replace(gene, rows=replaced(gene.rows)) for name, gene in store.by_gene.items()}
    return replace(store, by_gene=by_gene)


def require_same_people(store: FeatureStore, cohort: Cohort) -> None:
    """Refuse features of other people, whose numbers would not be those of the cohort.

    Raises:
        UserError: if the people or their order differ.
    """
    if store.people != cohort.people_names:
        raise UserError("The features were computed for other people than the cohort's: compute them again.")


class AlignerData:
    """Features of the cohort's genes, scaled, and batches of haplotypes from them.

    Attributes:
        genes: Names, in the order of the cohort.
        people: Names, in the order of the cohort.
        tiles: Number of tiles, T.
    """

    def __init__(self, cohort: Cohort, store: FeatureStore, scaling: Scaling):
        require_same_people(store, cohort)
        self.genes = cohort.gene_names
        self.people = cohort.people_names
        entries = [store.gene(gene) for gene in self.genes]
        self.tiles = entries[0].index.shape[1]
        self._rows, self._index, self._carriers = [], [], []
        positions = []
        for entry in entries:
            order = np.argsort(entry.tile_distance, kind="stable")
            self._rows.append((torch.from_numpy(entry.rows) - scaling.mean) / scaling.sd)
            self._index.append(torch.from_numpy(entry.index[:, order].astype(np.int64)))
            self._carriers.append(entry.carriers)
            distance = torch.from_numpy(entry.tile_distance[order].copy())
            positions.append(torch.sign(distance) * torch.log1p(distance.abs() / DISTANCE_UNIT))
        self._positions = torch.stack(positions)
        self._difference_sd = scaling.difference_sd

    def token_edges(self, tokens: int | None) -> list[int]:
        """Borders of at most so many tokens, in tiles; empty: every tile is one."""
        return token_edges(self._upstream, self.tiles - self._upstream, tokens)

    def upstream_tokens(self, edges: list[int]) -> int:
        """How many tokens with these borders (empty: tiles) lie before the TSS."""
        return edges.index(self._upstream) if edges else self._upstream

    @property
    def _upstream(self) -> int:
        """How many tiles lie before the TSS."""
        return int((self._positions[0] < 0).sum())

    def carriers(self, gene: int) -> np.ndarray:
        """(P, 2) int32: the haplotypes of each person; -1 where there is no second one."""
        return self._carriers[gene]

    def haplotypes(self, gene: int, people: np.ndarray) -> np.ndarray:
        """The distinct haplotypes that these people (numbers in the cohort) carry, ascending."""
        carried = np.unique(self._carriers[gene][people])
        return carried[carried >= 0]

    def batch(self, requests: list[tuple[int, np.ndarray]]) -> Batch:
        """The batch of the given haplotypes.

        Args:
            requests: (gene, haplotype numbers) pairs, both as numbers; the batch lists them in this order.
        """
        features, difference, genes = [], [], []
        for gene, haplotypes in requests:
            index = self._index[gene]
            chosen = self._rows[gene][index[torch.from_numpy(haplotypes.astype(np.int64))]]
            features.append(chosen)
            difference.append((chosen - self._rows[gene][index[0]]) / self._difference_sd)
            genes.append(torch.full((len(haplotypes),), gene))
        gene_numbers = torch.cat(genes)
        return Batch(torch.cat(features), torch.cat(difference), self._positions[gene_numbers], gene_numbers)

    def person_means(self, gene: int, people: np.ndarray, haplotypes: np.ndarray, values: torch.Tensor) -> torch.Tensor:
        """The mean of each person's haplotypes.

        Args:
            gene: Number of the gene.
            people: (n,) numbers of the people.
            haplotypes: (h,) ascending haplotype numbers that `values` belong to.
            values: (h, ...) one value per haplotype.

        Returns:
            (n, ...) the mean over the one or two haplotypes of each person.
        """
        first, second = torch.from_numpy(np.searchsorted(haplotypes, pairs(self._carriers[gene][people]).T))
        return (values[first] + values[second]) / 2
