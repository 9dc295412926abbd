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
    header = list(contigs.items())
    for gene, rows in tiles.groupby("gene", sort=False):
        contig = str(rows["contig"].iloc[0])
        start = rows["start"].clip(lower=0)
        end = rows["end"].clip(upper=contigs[contig])
        inside = (start < end).to_numpy()
        name = str(gene).replace("/", "_")
        for measure in MEASURES:
            starts, ends, values = start[inside].tolist(), end[inside].tolist(), rows[measure][inside].tolist()
            with (folder / f"{name}.{measure}.bedgraph").open("w") as handle:
                handle.write(f'track type=bedGraph name="{gene} {measure}" description="GTA, natural-log units"\n')
                handle.writelines(f"{contig}\t{s}\t{e}\t{v:.6g}\n" for s, e, v in zip(starts, ends, values, strict=True))
            track = pyBigWig.open(str(folder / f"{name}.{measure}.bw"), "w")
            track.addHeader(header)
            track.addEntries([contig] * len(starts), starts, ends=ends, values=values)
            track.close()
