"""The `motif` extractor: JASPAR matrices scanned as a convolution over both strands."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from gta.errors import UserError
from gta.features.factors import read_factors
from gta.features.lymphoblastoid import FACTORS

#: Added to each base's count, times the background frequency, before the logarithm (Wasserman & Sandelin 2004 use sqrt(N);
#: a constant keeps matrices with few sites apart from those with many).
PSEUDOCOUNT = 1.0
#: Frequencies of A, C, G, T expected outside of motifs: those of the human genome.
BACKGROUND = (0.295, 0.205, 0.205, 0.295)
POOLS = ("max", "lse")
#: Share of A, C, G, T in each ASCII letter, (256, 4) float32.
BASES = torch.zeros(256, 4)
for _letter, _bases in {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
}.items():
    for _base in _bases:
        BASES[ord(_letter), "ACGT".index(_base)] = 1 / len(_bases)


@dataclass(frozen=True)
class Motif:
    """One matrix as log-odds in nats, (4, width) float32, rows A C G T."""

    matrix_id: str
    name: str
    log_odds: np.ndarray


def log_odds(counts: np.ndarray) -> np.ndarray:
    """Log-odds matrix of base counts: ln of (count + pseudo-count) / column sum over the background.

    Args:
        counts: (4, width), rows A C G T.

    Returns:
        (4, width) float32, nats. Wasserman & Sandelin, Nat Rev Genet 2004, box 2.
    """
    background = np.asarray(BACKGROUND)[:, None]
    smoothed = counts + PSEUDOCOUNT * background
    return np.log(smoothed / smoothed.sum(axis=0, keepdims=True) / background).astype(np.float32)


def load_motifs(release: str, factors: str) -> list[Motif]:
    """The CORE vertebrate matrices of a JASPAR release, of the wanted factors, sorted by matrix id.

    Args:
        release: Name of the release, as `JASPAR2024`.
        factors: `lymphoblastoid`, `all`, or the path of a text file of factor names or matrix ids, one per line.

    Raises:
        UserError: for an unknown release, an unreadable file or a name that no matrix bears.
    """
    from pyjaspar import jaspardb

    releases = jaspardb().get_releases()
    if release not in releases:
        raise UserError(f"features.jaspar_release: {release} is not shipped with pyjaspar; choose one of {', '.join(releases)}.")
    matrices = jaspardb(release=release).fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    if factors == "all":
        wanted = None
    elif factors == "lymphoblastoid":
        wanted = {name.upper() for name in FACTORS}
    else:
        wanted = read_factors(Path(factors))
        unknown = sorted(wanted - {name.upper() for matrix in matrices for name in (matrix.matrix_id, matrix.name)})
        if unknown:
            raise UserError(
                f"features.factors: {factors}: no JASPAR CORE vertebrate matrix is named {unknown[0]}; check the spelling."
            )
    motifs = [
        Motif(m.matrix_id, m.name, log_odds(np.array([m.counts[base] for base in "ACGT"], dtype=float)))
        for m in matrices
        if wanted is None or m.name.upper() in wanted or m.matrix_id.upper() in wanted
    ]
    return sorted(motifs, key=lambda motif: motif.matrix_id)


def one_hot(sequences: np.ndarray) -> torch.Tensor:
    """One-hot of ASCII sequences.

    The codes of two bases, which stand for unphased heterozygotes, become half of each; every other letter but A, C, G, T
    becomes zeros, which scores as background.

    Args:
        sequences: (B, L) uint8, upper case.

    Returns:
        (B, 4, L) float32, channels A C G T.
    """
    return BASES[torch.tensor(sequences).long()].transpose(1, 2)


class MotifExtractor:
    """Motif features of tiles: the best and the summed match of each matrix on either strand.

    Scores are taken in short blocks, whose results combine exactly to those of any longer tile: distinct blocks are far fewer
    than distinct tiles, because few variants fall into one. A match belongs to the block in which its centre lies, so a block
    needs `margin` bases of context on either side.

    M matrices; F = 2 M features.

    Attributes:
        name: `motif`.
        margin: Context on either side of a block, bp.
        feature_names: (matrix id, factor, pool) of each of the F features.
    """

    name = "motif"

    def __init__(self, motifs: list[Motif]):
        if not motifs:
            raise UserError("features.factors: no matrix is left to scan; name at least one transcription factor.")
        # Matrices of like width are scanned together: a short one in a wide kernel would multiply zeros.
        by_width = sorted(range(len(motifs)), key=lambda number: motifs[number].log_odds.shape[1])
        groups = [part for part in np.array_split(np.array(by_width), min(6, len(motifs))) if len(part)]
        self._kernels = [_kernels([motifs[number] for number in group]) for group in groups]
        self._order = torch.from_numpy(np.argsort(np.concatenate(groups)))
        self.margin = max(kernels.shape[2] for kernels in self._kernels) // 2
        self.feature_names = [(motif.matrix_id, motif.name, pool) for motif in motifs for pool in POOLS]

    @torch.no_grad()
    def scan(self, blocks: np.ndarray) -> torch.Tensor:
        """Best and summed match of each matrix in each block.

        Args:
            blocks: (B, L + 2 * margin) uint8, upper-case ASCII.

        Returns:
            (B, 2, M) float32, nats: the maximum of the log-odds over positions and strands, and the logarithm of the sum of
            their exponentials.
        """
        bases = one_hot(blocks)
        parts = []
        for kernels in self._kernels:
            unused = self.margin - kernels.shape[2] // 2
            scores = functional.conv1d(bases[:, :, unused : bases.shape[2] - unused], kernels)
            # Both strands of a matrix are neighbours: its positions on both become one axis.
            scores = scores.view(len(blocks), len(kernels) // 2, -1)
            parts.append(torch.stack([scores.amax(dim=2), torch.logsumexp(scores, dim=2)], dim=1))
        return torch.cat(parts, dim=2)[:, :, self._order]

    @torch.no_grad()
    def combine(self, scanned: torch.Tensor, block_length: int) -> np.ndarray:
        """Features of tiles from those of their blocks.

        Args:
            scanned: (R, b, 2, M) what `scan` gave for the b blocks of each tile.
            block_length: Length of a block, bp.

        Returns:
            (R, F) float32, nats: for each matrix the maximum over the tile, and the logarithm of the mean of the exponentials
            over its positions and strands, which grows with the number of good matches and is comparable between tile lengths.
        """
        best = scanned[:, :, 0].amax(dim=1)
        positions = 2 * block_length * scanned.shape[1]
        summed = torch.logsumexp(scanned[:, :, 1], dim=1) - float(np.log(positions))
        return torch.stack([best, summed], dim=2).flatten(1).numpy()


def _kernels(motifs: list[Motif]) -> torch.Tensor:
    """Convolution kernels (2 x matrices, 4, width) of both strands, each matrix with its centre in the kernel's."""
    reach = max(motif.log_odds.shape[1] for motif in motifs) // 2
    kernels = np.zeros((2 * len(motifs), 4, 2 * reach + 1), dtype=np.float32)
    for number, motif in enumerate(motifs):
        size = motif.log_odds.shape[1]
        left = reach - size // 2
        kernels[2 * number, :, left : left + size] = motif.log_odds
        # The reverse complement of a one-hot matrix is its reversal along both axes (A<->T, C<->G).
        kernels[2 * number + 1, :, left : left + size] = motif.log_odds[::-1, ::-1]
    return torch.from_numpy(kernels)
