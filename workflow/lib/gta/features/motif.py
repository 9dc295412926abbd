"""The `motif` extractor: JASPAR matrices scanned over both strands."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from gta.errors import UserError
from gta.features.factors import read_factors
from gta.features.lymphoblastoid import FACTORS
from gta.features.settings import FeatureSettings
from gta.haplotypes.encoding import LETTERS, SHARES

#: Added to each base's count, times the background frequency, before the logarithm (Wasserman & Sandelin 2004 use sqrt(N);
#: a constant keeps matrices with few sites apart from those with many).
PSEUDOCOUNT = 1.0
#: Share of G and C expected outside of motifs: that of the human genome.
BACKGROUND_GC = 0.41
POOLS = ("max", "lse")
#: Length of the blocks in which sequence is scanned and de-duplicated, bp. Shorter ones are more often equal between people but
#: scan more context: 128 was fastest on real and simulated windows.
BLOCK = 128
#: Columns of a matrix that are looked up together.
WORD = 4
#: Most look-ups per match whose product is taken in float32.
WIDEST_FLOAT32 = 4
#: The lowest score that is told apart, nats: e to this power is still a float32.
FLOOR = -80.0
#: Number of each letter by its ASCII code, (256,) int64; the last number stands for all letters that score as background.
CODES = torch.full((256,), len(LETTERS))
for _number, _letter in enumerate(LETTERS):
    CODES[ord(_letter)] = _number
#: Share of A, C, G, T in each of the numbered letters, (letters, 4).
LETTER_SHARES = np.vstack([SHARES[[ord(letter) for letter in LETTERS]].astype(np.float64), np.zeros(4)])


@dataclass(frozen=True)
class Motif:
    """One matrix as log-odds in nats, (4, width) float32, rows A C G T."""

    matrix_id: str
    name: str
    log_odds: np.ndarray


def background(gc: float) -> np.ndarray:
    """Frequencies of A, C, G, T outside of motifs, (4,), by the share of G and C."""
    return np.array([1 - gc, gc, gc, 1 - gc]) / 2


def log_odds(counts: np.ndarray, gc: float = BACKGROUND_GC) -> np.ndarray:
    """Log-odds matrix of base counts: ln of (count + pseudo-count) / column sum over the background.

    Args:
        counts: (4, width), rows A C G T.
        gc: Share of G and C in the background.

    Returns:
        (4, width) float32, nats. Wasserman & Sandelin, Nat Rev Genet 2004, box 2.
    """
    expected = background(gc)[:, None]
    smoothed = counts + PSEUDOCOUNT * expected
    return np.log(smoothed / smoothed.sum(axis=0, keepdims=True) / expected).astype(np.float32)


def information(odds: np.ndarray, gc: float = BACKGROUND_GC) -> float:
    """Bits by which a matrix tells its sites from the background: the relative entropy of its columns, summed.

    Args:
        odds: (4, width) log-odds, nats.
        gc: Share of G and C in the background.
    """
    exact = odds.astype(np.float64)
    return float((background(gc)[:, None] * np.exp(exact) * exact).sum() / math.log(2))


def load_motifs(release: str, factors: str, min_information: float = 0.0, gc: float = BACKGROUND_GC) -> list[Motif]:
    """The CORE vertebrate matrices of a JASPAR release, of the wanted factors, sorted by matrix id.

    Args:
        release: Name of the release, as `JASPAR2024`.
        factors: `lymphoblastoid`, `all`, or the path of a text file of factor names or matrix ids, one per line.
        min_information: Matrices with less information are left out, bits.
        gc: Share of G and C in the background.

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
        Motif(m.matrix_id, m.name, log_odds(np.array([m.counts[base] for base in "ACGT"], dtype=float), gc))
        for m in matrices
        if wanted is None or m.name.upper() in wanted or m.matrix_id.upper() in wanted
    ]
    informative = [motif for motif in motifs if information(motif.log_odds, gc) >= min_information]
    return sorted(informative, key=lambda motif: motif.matrix_id)


class MotifExtractor:
    """Motif features of tiles: the best and the summed match of each matrix on either strand.

    Matches are scored in short blocks, whose results combine to those of any longer tile: distinct blocks are far fewer than
    distinct tiles, because few variants fall into one. A match belongs to the block in which its centre lies, so a block needs
    `margin` bases of context on either side.

    The exponential of a match's log-odds is a product over its columns. Columns are taken four at a time from tables of all
    words of four letters, so that a match costs a few look-ups and products, and its exponential is at hand for the sum.

    M matrices; F = 2 M features.

    Attributes:
        name: `motif`.
        weights: Fingerprint of the matrices.
        margin: Context on either side of a block, bp.
        feature_names: (matrix id, factor, pool) of each of the F features.
        batch: Blocks scanned at once; more do not fit a core's cache.
    """

    name = "motif"

    def __init__(self, motifs: list[Motif], device: torch.device | None = None):
        if not motifs:
            raise UserError(
                "features.factors: no matrix is left to scan; name at least one transcription factor, or lower "
                "features.min_information."
            )
        groups: dict[int, list[int]] = {}
        for number in sorted(range(len(motifs)), key=lambda number: motifs[number].log_odds.shape[1]):
            groups.setdefault(-(-motifs[number].log_odds.shape[1] // WORD), []).append(number)
        device = device or torch.device("cpu")
        self._tables = [WordTables.of([motifs[number] for number in group], device) for group in groups.values()]
        self._order = torch.from_numpy(np.argsort(np.concatenate(list(groups.values())))).to(device)
        self._codes = CODES.to(device)
        self.margin = max(motif.log_odds.shape[1] for motif in motifs) // 2
        self.feature_names = [(motif.matrix_id, motif.name, pool) for motif in motifs for pool in POOLS]
        self.weights = hashlib.sha256(b"".join(motif.log_odds.tobytes() for motif in motifs)).hexdigest()
        self.batch = 64

    def block_length(self, tile_length: int) -> int:
        """The length of blocks, bp."""
        return math.gcd(tile_length, BLOCK)

    def scan(self, blocks: torch.Tensor) -> torch.Tensor:
        """Best and summed match of each matrix in each block.

        Args:
            blocks: (B, L + 2 * margin) uint8, upper-case ASCII.

        Returns:
            (B, 2, M) float32, nats: the maximum of the log-odds over positions and strands (FLOOR if it is lower still), and the
            logarithm of the sum of their exponentials.
        """
        length = blocks.shape[1] - 2 * self.margin
        words = word_codes(self._codes[blocks.long()], max(tables.end for tables in self._tables) + 2 * self.margin)
        parts = []
        for tables in self._tables:
            odds = tables.odds(words, self.margin, length)
            best, summed = odds.amax(dim=1), odds.sum(dim=1)
            half = best.shape[1] // 2
            best = torch.maximum(best[:, :half], best[:, half:])
            summed = summed[:, :half] + summed[:, half:]
            parts.append(torch.stack([best, summed], dim=1).clamp_min(math.exp(FLOOR)).log().float())
        return torch.cat(parts, dim=2)[:, :, self._order]

    def combine(self, scanned: torch.Tensor, block_length: int) -> torch.Tensor:
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
        return torch.stack([best, summed], dim=2).flatten(1)


@dataclass(frozen=True)
class WordTables:
    """Odds of every word at every four columns of some matrices of like width, on both strands.

    m matrices of the group; W kinds of words.

    Attributes:
        tables: For each four columns, (W, 2 m): exponentials of the summed log-odds; first all matrices, then their reverse
            complements.
        reach: Columns left of the centre of every matrix.
    """

    tables: list[torch.Tensor]
    reach: int

    @property
    def end(self) -> int:
        """Columns of all tables."""
        return WORD * len(self.tables)

    @classmethod
    def of(cls, motifs: list[Motif], device: torch.device) -> "WordTables":
        """The tables of some matrices, each with its centre in the same column."""
        sizes = [motif.log_odds.shape[1] for motif in motifs]
        reach = max(sizes) // 2
        count = -(-max(reach - size // 2 + size for size in sizes) // WORD)
        columns = np.zeros((WORD * count, 4, 2 * len(motifs)))
        for number, (motif, size) in enumerate(zip(motifs, sizes, strict=True)):
            place = slice(reach - size // 2, reach - size // 2 + size)
            columns[place, :, number] = motif.log_odds.T
            # The reverse complement of a one-hot matrix is its reversal along both axes (A<->T, C<->G).
            columns[place, :, len(motifs) + number] = motif.log_odds[::-1, ::-1].T
        scores = LETTER_SHARES @ columns
        # Wide matrices reach scores whose exponentials float32 cannot hold.
        kind = np.float32 if count <= WIDEST_FLOAT32 else np.float64
        tables = []
        for part in scores.reshape(count, WORD, len(LETTER_SHARES), -1):
            words = part[0]
            for column in part[1:]:
                words = (words[:, None] + column[None]).reshape(-1, columns.shape[2])
            tables.append(torch.from_numpy(np.exp(words).astype(kind)).to(device))
        return cls(tables, reach)

    def odds(self, words: torch.Tensor, margin: int, length: int) -> torch.Tensor:
        """Exponentials of the log-odds, (B, L, 2 m), of matches whose centre is at each of the L positions after the margin."""
        product: torch.Tensor | None = None
        for number, table in enumerate(self.tables):
            start = margin - self.reach + WORD * number
            looked_up = table.index_select(0, words[:, start : start + length].reshape(-1))
            product = looked_up if product is None else product.mul_(looked_up)
        assert product is not None
        return product.view(len(words), length, -1)


def word_codes(letters: torch.Tensor, padding: int) -> torch.Tensor:
    """The number of the word of four letters that begins at each position.

    Args:
        letters: (B, L) int64, numbers of the letters.
        padding: Positions to add at the end, whose letters score as background.

    Returns:
        (B, L + padding) int64.
    """
    padded = functional.pad(letters, (0, padding + WORD - 1), value=len(LETTER_SHARES) - 1)
    length = letters.shape[1] + padding
    words = torch.zeros_like(padded[:, :length])
    for place in range(WORD):
        words = words * len(LETTER_SHARES) + padded[:, place : place + length]
    return words


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> MotifExtractor:
    """The extractor of the settings."""
    motifs = load_motifs(settings.jaspar_release, settings.factors, settings.min_information, settings.background_gc)
    return MotifExtractor(motifs, device)
