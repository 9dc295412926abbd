"""Bytes of sequence as numbers: the other strand, and one-hot."""

import numpy as np

#: The bases that an ambiguity code of two stands for (IUPAC-IUB 1984).
IUPAC_PAIRS = {b"R": b"AG", b"Y": b"CT", b"S": b"CG", b"W": b"AT", b"K": b"GT", b"M": b"AC"}
#: The letters that say something of a base: the four bases and the codes of two.
LETTERS = "ACGT" + b"".join(IUPAC_PAIRS).decode()
#: Which share of A, C, G, T a letter is: (256, 4) float32. A code of two bases is half of each (it stands for an unphased
#: heterozygote); every other letter is zeros.
SHARES = np.zeros((256, 4), dtype=np.float32)
for _letter in LETTERS.encode():
    _bases = IUPAC_PAIRS.get(bytes([_letter]), bytes([_letter]))
    for _base in _bases:
        SHARES[_letter, b"ACGT".index(_base)] = 1 / len(_bases)

#: The letter of the other strand: (256,) uint8.
COMPLEMENT = np.arange(256, dtype=np.uint8)
COMPLEMENT[np.frombuffer(b"ACGTRYKMBDHV", dtype=np.uint8)] = np.frombuffer(b"TGCAYRMKVHDB", dtype=np.uint8)


def reverse_complement(sequences: np.ndarray) -> np.ndarray:
    """The other strand of sequences, read in its own direction.

    Args:
        sequences: (..., L) uint8, upper-case ASCII; codes of several bases become the code of their complements.

    Returns:
        (..., L) uint8.
    """
    return COMPLEMENT[sequences[..., ::-1]]


def one_hot_bytes(sequences: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """One-hot of sequences as bytes, for sequences without codes of several bases (a share of them has no place in a byte).

    Bytes are compared, about half a nanosecond per base; the four bytes become floating point where they are used. Where there is
    an accelerator, `gta.features.sequences.one_hot` on it is better still.

    Args:
        sequences: (B, L) uint8, upper-case ASCII.
        out: (B, 4, L) uint8 to write to; a new array if None.

    Returns:
        (B, 4, L) uint8, channels A C G T; zeros for every other letter.
    """
    if out is None:
        out = np.empty((len(sequences), 4, sequences.shape[1]), dtype=np.uint8)
    # Row by row, so that a row is still in the processor's cache when it is compared with the next letter.
    for sequence, channels in zip(sequences, out, strict=True):
        for channel, letter in zip(channels, b"ACGT", strict=True):
            np.equal(sequence, letter, out=channel.view(bool))
    return out
