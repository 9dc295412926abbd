"""Tracks for genome browsers: bigWig and bedGraph of each gene's attribution."""

from pathlib import Path

import pandas as pd
import pyBigWig

from gta.attribution.tiles import MEASURES


def write_tracks(tiles: pd.DataFrame, contigs: dict[str, int], folder: Path) -> None:
    """Write one bigWig and one bedGraph per gene and measure, named `{gene}.{measure}.bw` and `.bedgraph`.

    Every base of a tile carries the tile's value. Windows of neighbouring genes overlap, which neither format allows within a
    file: hence a file per gene. Parts of a window outside of the contig are left out.

    Args:
        tiles: The table of tiles.
        contigs: Length of each contig of the reference, bp, in the reference's order.
        folder: Existing folder to write to.
    """
    for gene, rows in tiles.groupby("gene", sort=False):
        contig = str(rows["contig"].iloc[0])
        start = rows["start"].clip(lower=0)
        end = rows["end"].clip(upper=contigs[contig])
        inside = (start < end).to_numpy()
        for measure in MEASURES:
            columns = (start[inside].tolist(), end[inside].tolist(), rows[measure][inside].tolist())
            _write(str(gene), measure, contig, *columns, contigs, folder)


def write_base_track(gene: str, contig: str, importance: pd.DataFrame, contigs: dict[str, int], folder: Path) -> None:
    """Write the importance of each base near a gene's TSS as `{gene}.base_importance.bw` and `.bedgraph`, if there is any.

    Args:
        gene: The gene.
        contig: Its contig.
        importance: The table of `base_importance`.
        contigs: Length of each contig, bp, in the reference's order.
        folder: Existing folder to write to.
    """
    position = importance["position"]
    if len(position):
        columns = (position.tolist(), (position + 1).tolist(), importance["importance"].tolist())
        _write(gene, "base_importance", contig, *columns, contigs, folder)


def _write(
    gene: str,
    measure: str,
    contig: str,
    starts: list[int],
    ends: list[int],
    values: list[float],
    contigs: dict[str, int],
    folder: Path,
) -> None:
    name = f"{gene.replace('/', '_')}.{measure}"
    with (folder / f"{name}.bedgraph").open("w") as handle:
        handle.write(f'track type=bedGraph name="{gene} {measure}" description="GTA, natural-log units"\n')
        handle.writelines(f"{contig}\t{s}\t{e}\t{v:.6g}\n" for s, e, v in zip(starts, ends, values, strict=True))
    track = pyBigWig.open(str(folder / f"{name}.bw"), "w")
    track.addHeader(list(contigs.items()))
    track.addEntries([contig] * len(starts), starts, ends=ends, values=values)
    track.close()
