"""What the aligner reads: features, prompts and expression of genes and people, ready for batches."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch

from gta.aligner.tokens import token_edges
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore, GeneFeatures, Windows
from gta.haplotypes.carriers import pairs

#: Scaled features of windows are kept up to about so many bytes; those that were not needed for longest are read anew.
KEPT_BYTES = 2 * 1024**3
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
    def fit(cls, store: FeatureStore, genes: list[str], people: np.ndarray) -> "Scaling":
        """Fit on the given (training) genes and the haplotypes of the given (training) people, as numbers."""
        # Gene by gene, after Chan, Golub and LeVeque (1983), for not all windows need fit into memory.
        number, mean, deviations = 0, np.zeros(1), np.zeros(1)
        squares, counts = np.zeros(1), np.zeros(1, dtype=np.int64)
        for entry in map(store.gene, genes):
            stored = entry.haplotype(0)
            reference = stored.astype(np.float64)
            own, tiles = reference.mean(axis=0), len(reference)
            step = own - mean
            deviations = deviations + ((reference - own) ** 2).sum(axis=0) + step**2 * number * tiles / (number + tiles)
            mean = mean + step * tiles / (number + tiles)
            number += tiles
            carried = np.unique(entry.carriers[people])
            index = entry.index[carried[carried >= 0]]
            used, places = np.unique(np.stack([index.ravel(), np.tile(np.arange(index.shape[1]), len(index))]), axis=1)
            difference = (entry.rows[used] - stored[places]).astype(np.float64)
            squares = squares + (difference**2).sum(axis=0)
            counts = counts + (difference != 0).sum(axis=0)
        sd = np.sqrt(deviations / number)
        sd[sd < 1e-6] = 1.0
        difference_sd = np.sqrt(squares / np.maximum(counts, 1)) / sd
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

    def read(name: str) -> GeneFeatures:
        gene = store.gene(name)
        return replace(gene, rows=replaced(gene.rows))

    return replace(store, by_gene=Windows(store.genes, read, store.layout))


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
        self._store, self._scaling = store, scaling
        self._kept: OrderedDict[int, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()
        self._kept_bytes = 0
        self._order, self._carriers, positions = [], [], []
        for carriers, tile_distance in map(store.layout, self.genes):
            order = np.argsort(tile_distance, kind="stable")
            self._order.append(order)
            self._carriers.append(carriers)
            distance = torch.from_numpy(tile_distance[order].copy())
            positions.append(torch.sign(distance) * torch.log1p(distance.abs() / DISTANCE_UNIT))
        self._positions = torch.stack(positions)
        self.tiles = self._positions.shape[1]

    def _window(self, gene: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scaled features of the distinct tiles of a gene's window, (R, F) float32, and its haplotypes' rows, (H, T) int64."""
        if gene not in self._kept:
            entry = self._store.gene(self.genes[gene])
            rows = (torch.from_numpy(entry.rows) - self._scaling.mean) / self._scaling.sd
            self._kept[gene] = rows, torch.from_numpy(entry.index[:, self._order[gene]].astype(np.int64))
            self._kept_bytes += sum(part.nbytes for part in self._kept[gene])
            while len(self._kept) > 1 and self._kept_bytes > KEPT_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= sum(part.nbytes for part in dropped)
        self._kept.move_to_end(gene)
        return self._kept[gene]

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
            rows, index = self._window(gene)
            chosen = rows[index[torch.from_numpy(haplotypes.astype(np.int64))]]
            features.append(chosen)
            difference.append((chosen - rows[index[0]]) / self._scaling.difference_sd)
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
