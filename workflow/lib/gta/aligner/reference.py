"""Telling whether a reference is the one that a model was trained with."""

import hashlib

from gta.errors import UserError
from gta.haplotypes import Reference
from gta.inputs.names import match_contigs

#: Bases that are read at once.
CHUNK = 1 << 24


def sequence_checksum(reference: Reference, contig: str) -> str:
    """SHA-256 of a contig's sequence in upper case: the same whatever the file's name, compression and line length."""
    digest = hashlib.sha256()
    length = reference.lengths[contig]
    for start in range(0, length, CHUNK):
        digest.update(reference.fetch(contig, start, min(start + CHUNK, length)).tobytes())
    return digest.hexdigest()


def sequence_checksums(reference: Reference) -> dict[str, str]:
    """SHA-256 of the sequence of every contig, by name."""
    return {contig: sequence_checksum(reference, contig) for contig in reference.lengths}


def require_reference(trained: dict[str, str], reference: Reference, contigs: list[str], what: str) -> None:
    """Refuse another reference than a model was trained with.

    Args:
        trained: Checksums of the contigs that it was trained with, by name.
        reference: The reference to predict with.
        contigs: Contigs that are predicted; names with and without `chr` are the same.
        what: The model, for messages.

    Raises:
        UserError: naming the first contig that differs, or that the training's reference had not.
    """
    for known, who in ((trained, f"The reference that {what} was trained with"), (reference.lengths, str(reference.path))):
        for contig in contigs:
            if contig not in match_contigs(contigs, list(known)):
                raise UserError(f"{who} has no contig {contig!r}: give the same reference, or leave out the genes on it.")
    then, now = match_contigs(contigs, list(trained)), match_contigs(contigs, list(reference.lengths))
    for contig in contigs:
        if sequence_checksum(reference, now[contig]) != trained[then[contig]]:
            raise UserError(
                f"The sequence of {contig} in the reference {reference.path} is not that which {what} was trained with: give the"
                " reference of the same genome build."
            )
