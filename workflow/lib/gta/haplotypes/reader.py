"""Personal sequences straight from genotypes and reference: window by window, for some of the people or all."""

import gc
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gta.errors import UserError
from gta.haplotypes.encoding import reverse_complement
from gta.haplotypes.genotypes import Genotypes
from gta.haplotypes.reference import Reference
from gta.haplotypes.sequences import Carried, EditTable, build_sequences
from gta.haplotypes.settings import HaplotypeSettings
from gta.haplotypes.stretches import Source, account_of, read_stretch
from gta.haplotypes.windows import Window
from gta.inputs.genotypes import place_genotypes
from gta.inputs.names import examples, match_contigs, nearest
from gta.inputs.reference import place_reference

#: Windows that are read before they are needed.
AHEAD = 2


@dataclass(frozen=True)
class WindowHaplotypes:
    """All haplotypes of one window, as variants. P people, R records, L = window.end - window.start.

    Attributes:
        window: The window.
        bases: Reference bases around it, uint8.
        offset: Position of the first of them, bp, 0-based.
        edits: What the alleles of the records do.
        alleles: (2 P, R) uint8, the alleles on the first and second haplotype of each person in turn.
        haploid: (P,) bool, has the person only one haplotype there?
        padded: Bases of the window that lie beyond the contig's ends.
        account: What became of the records.
    """

    window: Window
    bases: np.ndarray
    offset: int
    edits: EditTable
    alleles: np.ndarray
    haploid: np.ndarray
    padded: tuple[int, int]
    account: dict[str, object]

    def sequences(self, rows: slice, strand_aware: bool = False, out: np.ndarray | None = None) -> np.ndarray:
        """Sequences of fixed length, the TSS base at index tss - start.

        Args:
            rows: Which of the 2 P haplotypes.
            strand_aware: Give the reverse complement in a window of the minus strand.
            out: (rows, L) uint8 to write to; a new array if None.

        Returns:
            (rows, L) uint8, upper-case ASCII.
        """
        patterns = self.alleles[rows]
        window = self.window
        length = window.end - window.start
        if out is None:
            out = np.empty((len(patterns), length), dtype=np.uint8)
        build_sequences(
            self.bases,
            self.offset,
            self.edits,
            slice(0, patterns.shape[1]),
            patterns,
            window.tss,
            window.tss - window.start,
            window.end - window.tss,
            out,
        )
        if strand_aware and window.strand == "-":
            for sequence in out:
                sequence[:] = reverse_complement(sequence)
        return out

    def raw_sequences(self, rows: slice, strand_aware: bool = False) -> list[bytes]:
        """The bases that stand in the window, unpadded: what `bcftools consensus` makes of the interval.

        Args:
            rows: Which of the 2 P haplotypes.
            strand_aware: Give the reverse complement in a window of the minus strand.
        """
        patterns = self.alleles[rows]
        columns = slice(0, patterns.shape[1])
        start, end = self.window.start + self.padded[0], self.window.end - self.padded[1]
        carried = Carried.of(self.edits, columns, patterns)
        at_start = carried.shifts_at(start)
        # What is inserted before the first base of the contig stands in a window that begins there.
        lefts = at_start - carried.shifts_at(-1) if start == 0 else np.zeros_like(at_start)
        rights = end - start + carried.shifts_at(end) - at_start
        texts = [b""] * len(patterns)
        for left, right in np.unique(np.stack([lefts, rights], axis=1), axis=0).tolist():
            chosen = np.flatnonzero((lefts == left) & (rights == right))
            sequences = build_sequences(self.bases, self.offset, self.edits, columns, patterns[chosen], start, left, right)
            if strand_aware and self.window.strand == "-":
                sequences = reverse_complement(sequences)
            for row, sequence in zip(chosen.tolist(), sequences, strict=True):
                texts[row] = sequence.tobytes()
        return texts


@dataclass(frozen=True)
class Batch:
    """Sequences of some people in one window.

    Attributes:
        window: The window.
        people: Names of the B people.
        sequences: (B, 2, L) uint8, upper-case ASCII; the second haplotype of a haploid person is all N.
        present: (B, 2) bool, is there such a haplotype?
    """

    window: Window
    people: list[str]
    sequences: np.ndarray
    present: np.ndarray


class HaplotypeReader:
    """Personal sequences of a VCF or BCF and a reference.

    Files are opened anew in every process, so that a reader may be handed to the workers of a PyTorch DataLoader. Indexes that
    are missing are made in a temporary folder, which goes with the first reader. One window is held at a time.

    Attributes:
        settings: How genotypes become sequence.
    """

    def __init__(
        self,
        genotypes: Path | str,
        reference: Path | str,
        people: Sequence[str] | None = None,
        settings: HaplotypeSettings | None = None,
    ):
        """See that the files are what they should be, and indexed; they are opened when they are first read.

        Args:
            genotypes: VCF or BCF.
            reference: FASTA.
            people: Who, in this order; everybody, in the order of the file, if None.
            settings: How genotypes become sequence; the defaults if None.

        Raises:
            UserError: if a file is missing or not what it should be.
        """
        self._shown = (Path(genotypes), Path(reference))
        folder = Path(tempfile.mkdtemp(prefix="gta-haplotypes-"))
        weakref.finalize(self, _remove, folder, os.getpid())
        self._paths = folder / place_genotypes(self._shown[0], folder), folder / place_reference(self._shown[1], folder)
        self._people = None if people is None else list(people)
        self.settings = settings or HaplotypeSettings()
        self._opened: tuple[int, Genotypes, Reference, dict[str, str]] | None = None
        # The files have one place at which they are read: two threads at once would get each other's records.
        self._lock = (os.getpid(), threading.RLock())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None, "_lock": (0, None)}

    def _locked(self) -> threading.RLock:
        """The lock of this process: another one's may have been held when this process was split off."""
        process, lock = self._lock
        if lock is None or process != os.getpid():
            lock = threading.RLock()
            self._lock = (os.getpid(), lock)
        return lock

    def _open(self) -> tuple[Genotypes, Reference, dict[str, str]]:
        """Readers of both files, and the genotypes' name of each contig of the reference."""
        if self._opened is None or self._opened[0] != os.getpid():
            genotypes = Genotypes(self._paths[0], self._people, self.settings.filters, shown=self._shown[0])
            reference = Reference(self._paths[1], shown=self._shown[1])
            names = {ours: theirs for theirs, ours in match_contigs(genotypes.contigs, list(reference.lengths)).items()}
            self._opened = (os.getpid(), genotypes, reference, names)
        return self._opened[1:]

    @property
    def people(self) -> list[str]:
        """Names of the people, in the order of the sequences."""
        with self._locked():
            return self._open()[0].people

    @property
    def contig_names(self) -> dict[str, str]:
        """The genotypes' name of each contig of the reference that they have."""
        with self._locked():
            return self._open()[2]

    def read(self, window: Window) -> WindowHaplotypes:
        """The haplotypes of one window. Threads take turns.

        Raises:
            UserError: if a file lacks the contig, or a record cannot be put into sequence.
        """
        with self._locked():
            return self._read(window)

    def _read(self, window: Window) -> WindowHaplotypes:
        """The haplotypes of one window, while nobody else reads."""
        genotypes, reference, names = self._open()
        contig = match_contigs([window.contig], list(reference.lengths)).get(window.contig)
        if contig is None:
            raise UserError(
                f"The window {window.name!r} is on contig {window.contig!r}, which the reference {reference.path} lacks; "
                f"{nearest(window.contig, reference.lengths)}."
            )
        if contig not in names:
            raise UserError(
                f"The window {window.name!r} is on contig {window.contig!r}, which the genotypes {genotypes.path} lack (they "
                f"have {examples(genotypes.contigs)}): leave the window out, or give the file that has them; if nobody varies "
                "there, a line ##contig in the header says so."
            )
        length = reference.lengths[contig]
        source = Source(genotypes, reference, contig, names[contig], self.settings)
        interval = np.array([window.start, window.end, window.tss], dtype=np.int64)
        stretch = read_stretch(source, interval[None], margin=0)
        account, haploid = account_of(source, stretch, window.name, interval)
        reach_start, reach_end = stretch.reaches[0].tolist()
        return WindowHaplotypes(
            window=window,
            bases=reference.fetch(contig, reach_start, reach_end),
            offset=reach_start,
            edits=stretch.edits,
            alleles=np.ascontiguousarray(stretch.resolved.alleles.T),
            haploid=haploid,
            padded=(max(0, min(window.end, 0) - window.start), max(0, window.end - max(window.start, length))),
            account=account,
        )

    def batches(
        self,
        windows: Sequence[Window],
        people_per_batch: int | None = None,
        strand_aware: bool = False,
        reuse: bool = False,
    ) -> Iterator[Batch]:
        """Sequences of all people in windows, in order.

        Another process reads the next windows while one is made into sequence: threads would only take turns at Python.

        Args:
            windows: The windows.
            people_per_batch: How many people a batch has at most; everybody if None.
            strand_aware: Give the reverse complement in windows of the minus strand.
            reuse: Write every batch into the same memory, which saves the time that fresh memory takes; a batch must then be used
                up before the next one is asked for.
        """
        buffer = np.zeros(0, dtype=np.uint8)
        with ProcessPoolExecutor(1, _context(), _set_reader, (self,)) as ahead:
            coming = deque(ahead.submit(_read_ahead, window) for window in windows[:AHEAD])
            for number, window in enumerate(windows):
                haplotypes = coming.popleft().result()
                coming.extend(ahead.submit(_read_ahead, later) for later in windows[number + AHEAD : number + AHEAD + 1])
                for people in blocks(len(self.people), people_per_batch):
                    shape = (2 * (people.stop - people.start), window.end - window.start)
                    size = shape[0] * shape[1]
                    if not reuse or len(buffer) < size:
                        buffer = np.empty(size, dtype=np.uint8)
                    yield make_batch(haplotypes, self.people, people, strand_aware, buffer[:size].reshape(shape))


#: The reader of a process that reads ahead.
_READER: list[HaplotypeReader] = []


def _context() -> multiprocessing.context.BaseContext:
    """A copy of this process starts at once where there is one thread; else a new one is safer."""
    return multiprocessing.get_context("fork" if threading.active_count() == 1 and "torch" not in sys.modules else "spawn")


def _set_reader(reader: HaplotypeReader) -> None:
    """Begin a process that reads ahead."""
    _READER[:] = [reader]
    # Reading makes many small objects and no cycles of them: looking for these takes a tenth of the time.
    gc.disable()


def _read_ahead(window: Window) -> WindowHaplotypes:
    return _READER[0].read(window)


def _remove(folder: Path, process: int) -> None:
    """Remove a reader's folder in the process that made it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def blocks(count: int, size: int | None) -> list[slice]:
    """The numbers 0 to count in blocks of a size; all in one if None."""
    step = count if size is None else size
    return [slice(at, min(at + step, count)) for at in range(0, count, max(1, step))]


def make_batch(
    haplotypes: WindowHaplotypes, names: list[str], people: slice, strand_aware: bool, out: np.ndarray | None = None
) -> Batch:
    """The sequences of some people in a window.

    Args:
        haplotypes: All haplotypes of the window.
        names: Names of all people.
        people: Which of them.
        strand_aware: Give the reverse complement in a window of the minus strand.
        out: (2 B, L) uint8 to write to; a new array if None.
    """
    sequences = haplotypes.sequences(slice(2 * people.start, 2 * people.stop), strand_aware, out)
    present = np.ones((people.stop - people.start, 2), dtype=bool)
    present[:, 1] = ~haplotypes.haploid[people]
    sequences = sequences.reshape(len(present), 2, -1)
    sequences[~present] = ord("N")
    return Batch(haplotypes.window, names[people], sequences, present)


class HaplotypeDataset:
    """Batches of (window, people) by number: a map-style dataset for `torch.utils.data.DataLoader(..., batch_size=None)`.

    Batches of one window are neighbours, and the last window is kept, so that going through in order reads each window once.
    """

    def __init__(
        self,
        reader: HaplotypeReader,
        windows: Sequence[Window],
        people_per_batch: int | None = None,
        strand_aware: bool = False,
    ):
        """Choose what the batches hold.

        Args:
            reader: Reads the haplotypes.
            windows: The windows.
            people_per_batch: How many people a batch has at most; everybody if None.
            strand_aware: Give the reverse complement in windows of the minus strand.
        """
        self.reader = reader
        self.windows = list(windows)
        self.strand_aware = strand_aware
        self._blocks = blocks(len(reader.people), people_per_batch)
        self._last: tuple[int, WindowHaplotypes] | None = None

    def __len__(self) -> int:
        return len(self.windows) * len(self._blocks)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """One batch.

        Returns:
            `window`: its number; `people`: (B,) int64, their numbers in `reader.people`; `sequences`: (B, 2, L) uint8;
            `present`: (B, 2) bool. `gta.features.sequences.one_hot` makes one-hot of the sequences on the device.
        """
        if not 0 <= number < len(self):
            raise IndexError(number)
        window, block = divmod(number, len(self._blocks))
        if self._last is None or self._last[0] != window:
            self._last = window, self.reader.read(self.windows[window])
        people = self._blocks[block]
        batch = make_batch(self._last[1], self.reader.people, people, self.strand_aware)
        return {
            "window": window,
            "people": np.arange(people.start, people.stop),
            "sequences": batch.sequences,
            "present": batch.present,
        }
