"""Reading the reference sequence."""

from pathlib import Path

import numpy as np
import pysam

from gta.errors import UserError
from gta.files import require_file


class Reference:
    """Random access to an indexed FASTA file, plain or bgzipped.

    Letters come out in upper case; beyond either end of a contig there is N.

    Attributes:
        path: The file's name in messages.
        lengths: Length of each contig in bp, in the order of the file.
    """

    def __init__(self, path: Path | str, shown: Path | None = None):
        """Open the file.

        Args:
            path: The file; its index stands beside it.
            shown: The file's name in messages, if it is opened through a link.

        Raises:
            UserError: if the file or its index is missing or is not a FASTA index.
        """
        require_file(path, "reference")
        self.path = shown or Path(path)
        require_file(f"{path}.fai", "index of the reference (samtools faidx makes it)")
        try:
            self._fasta = pysam.FastaFile(str(path))
        except (OSError, ValueError) as error:
            raise UserError(
                f"The reference {path} cannot be opened as indexed FASTA; write its index anew with samtools faidx."
            ) from error
        self.lengths: dict[str, int] = dict(zip(self._fasta.references, self._fasta.lengths, strict=True))

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        """Bases of an interval.

        Args:
            contig: Name of the contig.
            start: First base, bp, 0-based; may be negative.
            end: One past the last base; may lie beyond the contig's end.

        Returns:
            (end - start,) uint8, upper-case ASCII; N outside of the contig.

        Raises:
            UserError: if the reference has no such contig or the file ends early.
        """
        if contig not in self.lengths:
            raise UserError(
                f"The reference {self.path} has no contig {contig!r}; its first ones are {', '.join(list(self.lengths)[:3])}."
            )
        inner_start, inner_end = max(start, 0), min(end, self.lengths[contig])
        sequence = np.full(end - start, ord("N"), dtype=np.uint8)
        if inner_start < inner_end:
            try:
                letters = self._fasta.fetch(contig, inner_start, inner_end).upper().encode("ascii")
            except ValueError:
                letters = b""
            if len(letters) != inner_end - inner_start:
                raise UserError(
                    f"The reference {self.path} ends within contig {contig}, before base {inner_end}: the file is cut short or "
                    "its index belongs to another file; copy it again and index it."
                )
            sequence[inner_start - start : inner_end - start] = np.frombuffer(letters, dtype=np.uint8)
        return sequence


def open_reference(inputs: Path | str) -> Reference:
    """The reference of an `inputs/` folder.

    Args:
        inputs: The folder; its `inputs.json` names the file.
    """
    from gta.inputs.tables import read_names  # loads pandas, which readers of bare files can do without

    return Reference(Path(inputs) / read_names(Path(inputs))["reference"])
