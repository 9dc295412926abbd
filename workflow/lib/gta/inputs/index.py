"""Whether an index belongs to a file in BGZF as it is now: by what it says, for dates tell nothing of files that were copied."""

import gzip
import struct
import zlib
from pathlib import Path

from gta.inputs.compression import BGZF_END

#: Bytes of the header of a BGZF block, up to the field that holds the block's size (SAM specification, section 4.1).
_HEADER = 18


def is_index_of(index: Path, path: Path) -> bool:
    """Return whether a tabix or CSI index is of a file as it is: it ends where the file ends, and contigs begin where it says.

    An index of an earlier state of the file, or of another one, hides records without a word.

    Args:
        index: A `.tbi` or `.csi`.
        path: A whole VCF, BED or BCF in BGZF.
    """
    try:
        contigs, places = _read(gzip.decompress(index.read_bytes()))
    except (OSError, EOFError, struct.error, zlib.error, IndexError, UnicodeDecodeError):
        return False
    ends = [end for _, end in places if end]
    return bool(ends) and _is_end(path, max(ends)) and all(_begins(path, *each) for each in zip(contigs, places, strict=False))


def _read(data: bytes) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the names of contigs, none in the index of a BCF, and where the records of each begin and end (virtual offsets)."""
    magic, csi = data[:4], data[:4] == b"CSI\x01"
    if not csi and magic != b"TBI\x01":
        raise OSError("no tabix or CSI index")
    at, pseudo, names = 4, 37450, b""
    if csi:
        _, depth, length = struct.unpack_from("<3i", data, at)
        auxiliary, at = data[at + 12 : at + 12 + length], at + 12 + length
        pseudo = ((1 << (3 * depth + 3)) - 1) // 7 + 1
        if length >= 28:
            names = auxiliary[28 : 28 + struct.unpack_from("<i", auxiliary, 24)[0]]
        (contigs,) = struct.unpack_from("<i", data, at)
        at += 4
    else:
        contigs, length = struct.unpack_from("<i", data, at)[0], struct.unpack_from("<i", data, at + 28)[0]
        names, at = data[at + 32 : at + 32 + length], at + 32 + length
    places = []
    for _ in range(contigs):
        first, last = 1 << 64, 0
        (bins,) = struct.unpack_from("<i", data, at)
        at += 4
        for _ in range(bins):
            (number,) = struct.unpack_from("<I", data, at)
            at += 12 if csi else 4
            (chunks,) = struct.unpack_from("<i", data, at)
            offsets = struct.unpack_from(f"<{2 * chunks}Q", data, at + 4)
            at += 4 + 16 * chunks
            # One bin that is none counts records.
            if number != pseudo and offsets:
                first, last = min(first, *offsets[::2]), max(last, *offsets[1::2])
        if not csi:
            at += 4 + 8 * struct.unpack_from("<i", data, at)[0]
        places.append((first, last))
    return [name.decode() for name in names.split(b"\0")[:-1]], places


def _is_end(path: Path, offset: int) -> bool:
    """Return whether a virtual offset is that of the end of the last block with data."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - len(BGZF_END)))
        end = size - len(BGZF_END) if handle.read() == BGZF_END else size
        block, within = offset >> 16, offset & 0xFFFF
        if not within:
            return block in (end, size)
        handle.seek(block)
        header = handle.read(_HEADER)
        if len(header) < _HEADER or header[:4] != b"\x1f\x8b\x08\x04":
            return False
        length = struct.unpack_from("<H", header, 16)[0] + 1
        handle.seek(block + length - 4)
        return block + length == end and struct.unpack("<I", handle.read(4))[0] == within


def _begins(path: Path, contig: str, place: tuple[int, int]) -> bool:
    """Return whether a line of a contig stands at a virtual offset; a contig without records begins nowhere."""
    if not place[1]:
        return True
    block, within = place[0] >> 16, place[0] & 0xFFFF
    with path.open("rb") as handle:
        handle.seek(block)
        start = handle.read(1 << 17)
    text = b""
    while start[:4] == b"\x1f\x8b\x08\x04" and len(text) < within + len(contig) + 1:
        one = zlib.decompressobj(wbits=31)
        text += one.decompress(start)
        start = one.unused_data
    return text[within:].startswith(f"{contig}\t".encode())
