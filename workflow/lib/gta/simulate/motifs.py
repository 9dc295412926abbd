"""The transcription factors of the simulation, and how strongly a sequence is bound."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gta.errors import UserError

#: Release of JASPAR that the matrices come from; pyjaspar carries it.
RELEASE = "JASPAR2024"

#: factor, matrix of JASPAR CORE vertebrates, effect of a fully bound site at the TSS on ln expression.
FACTORS: tuple[tuple[str, str, float], ...] = (
    ("SPI1", "MA0080.7", 0.9),
    ("EBF1", "MA0154.5", 0.7),
    ("IRF4", "MA1419.2", 0.8),
    ("NFKB1", "MA0105.4", 1.0),
    ("NRF1", "MA0506.3", 0.8),
    ("POU2F2", "MA0507.3", 0.7),
    ("CTCF", "MA0139.2", 0.5),
    ("RFX5", "MA0510.3", 0.7),
    ("REST", "MA0138.3", -1.1),
    ("BCL6", "MA0463.3", -0.8),
)

#: Distance over which an effect falls to 1/e, bp.
DECAY_BP = 25_000
#: Share of a uniform base mixed into every column, so that no base is impossible.
MIXED_UNIFORM = 0.05
#: A sequence that scores this much (nats) below the consensus is bound half of the time.
HALF_BOUND_BELOW_CONSENSUS = 3.0

#: Code (A, C, G, T as 0..3) of each ASCII byte; other bytes are never looked up.
CODES = np.zeros(256, dtype=np.int64)
CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)


@dataclass(frozen=True, eq=False)
class Motif:
    """One factor's matrix.

    Attributes:
        name: The factor.
        matrix_id: JASPAR id with version.
        effect: Change of ln expression by a fully bound site at the TSS.
        probabilities: (4, L) float64, rows A, C, G, T; columns sum to 1; uniform base mixed in.
        log_odds: (4, L) float64, ln(probability / 0.25), nats.
    """

    name: str
    matrix_id: str
    effect: float
    probabilities: NDArray[np.float64]
    log_odds: NDArray[np.float64]

    @property
    def length(self) -> int:
        """Number of bases, L."""
        return self.log_odds.shape[1]

    @property
    def consensus(self) -> NDArray[np.int64]:
        """(L,) the best base of each column, as 0..3 for A, C, G, T."""
        return self.log_odds.argmax(axis=0)

    @property
    def information(self) -> NDArray[np.float64]:
        """(L,) information of each column in bits (Schneider and Stephens 1990, uniform background, no small-sample term)."""
        return (self.probabilities * self.log_odds).sum(axis=0) / np.log(2)

    def score(self, codes: NDArray[np.int64]) -> float:
        """Log-odds score in nats of (L,) bases 0..3, read along the motif."""
        return float(self.log_odds[codes, np.arange(self.length)].sum())

    def occupancy(self, score: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Share of the time that a site with this score (nats) is bound: 0 for background, 0.95 for the consensus.

        1 / (1 + exp(-(score - (consensus score - 3)))): equilibrium binding with the score as energy (Berg and von Hippel 1987).
        """
        best = self.log_odds.max(axis=0).sum()
        return 1 / (1 + np.exp(-(np.asarray(score, dtype=np.float64) - (best - HALF_BOUND_BELOW_CONSENSUS))))


def effect_at(motif: Motif, distance: int) -> float:
    """Change of ln expression by a fully bound site at this distance (bp, either sign) from the TSS."""
    return motif.effect * float(np.exp(-abs(distance) / DECAY_BP))


def load_motifs() -> list[Motif]:
    """The motifs of `FACTORS`, in that order.

    Raises:
        UserError: if the installed pyjaspar lacks the release or a matrix.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Biopython announces deprecations of what pyjaspar calls
        import pyjaspar

        if RELEASE not in pyjaspar.jaspar_releases:
            raise UserError(f"The installed pyjaspar {pyjaspar.__version__} lacks {RELEASE}: install pyjaspar 3 or later.")
        database = pyjaspar.jaspardb(release=RELEASE)
        records = [database.fetch_motif_by_id(matrix_id) for _, matrix_id, _ in FACTORS]
        database.conn.close()
    motifs = []
    for (name, matrix_id, effect), record in zip(FACTORS, records, strict=True):
        if record is None:
            raise UserError(f"{RELEASE} in the installed pyjaspar lacks matrix {matrix_id}: install pyjaspar 3 or later.")
        counts = np.array([record.counts[base] for base in "ACGT"], dtype=np.float64)
        frequencies = counts / counts.sum(axis=0)
        probabilities = (1 - MIXED_UNIFORM) * frequencies + MIXED_UNIFORM / 4
        motifs.append(Motif(name, matrix_id, effect, probabilities, np.log(probabilities / 0.25)))
    return motifs
