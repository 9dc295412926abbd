"""Files that open the tracks in genome browsers: a session for IGV and a track hub for UCSC."""

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

#: What the track's name says of each measure, and its colour.
LOOKS = {
    "gradient_x_input": ("gradient x input", "0,114,178"),
    "deletion": ("deletion effect", "213,94,0"),
    "personal": ("personal", "68,68,68"),
    "base_importance": ("base importance", "0,158,115"),
}


def write_hub(genes: pd.DataFrame, shown: list[str], assembly: str, folder: Path) -> None:
    """Write `hub.txt`, a UCSC track hub in one file (`useOneFile on`) over the bigWig files beside it.

    Tracks of the genes shown in detail are visible, all others hidden.

    Args:
        genes: `gene symbol` of all genes that have tracks.
        shown: The genes shown in detail.
        assembly: UCSC's name of the genome.
        folder: The folder of the tracks.
    """
    lines = [
        *("hub gta", "shortLabel GTA attribution", "longLabel GTA: attribution of predicted expression, natural-log units"),
        *("useOneFile on", "email none@example.org", "", f"genome {assembly}", ""),
    ]
    for measure, (name, _) in LOOKS.items():
        # A super-track needs members: there is no importance of bases where no gene is shown in detail.
        if any(folder.glob(f"*.{measure}.bw")):
            lines += [f"track {measure}", "superTrack on show", f"shortLabel {name}", f"longLabel GTA {name}, ln expression", ""]
    for number, (gene, symbol) in enumerate(genes[["gene", "symbol"]].itertuples(index=False)):
        for measure, (name, colour) in LOOKS.items():
            file = f"{str(gene).replace('/', '_')}.{measure}.bw"
            if not (folder / file).exists():
                continue
            lines += [
                *(f"track {measure}_{number}", f"parent {measure}", "type bigWig", f"bigDataUrl {file}"),
                *(f"shortLabel {symbol}", f"longLabel {symbol} ({gene}): {name}, ln expression", f"color {colour}"),
                *(f"visibility {'full' if gene in shown else 'hide'}", "autoScale on", "alwaysZero on", ""),
            ]
    (folder / "hub.txt").write_text("\n".join(lines))


def write_session(genes: pd.DataFrame, shown: list[str], genome: str, folder: Path) -> None:
    """Write `igv_session.xml`, which opens the tracks of the genes shown in detail in IGV, at the first of them.

    Args:
        genes: `gene symbol contig window_start window_end` of all genes.
        shown: The genes shown in detail.
        genome: IGV's name of the genome (that of UCSC), or the path of the reference from the folder.
        folder: The folder of the tracks.
    """
    chosen = genes.set_index("gene").loc[shown]
    session = ElementTree.Element("Session", genome=genome, version="8")
    if len(chosen):
        first = chosen.iloc[0]
        session.set("locus", f"{first['contig']}:{max(0, int(first['window_start'])) + 1}-{int(first['window_end'])}")
    files = [
        (f"{str(gene).replace('/', '_')}.{measure}.bw", f"{symbol} {name}", colour)
        for gene, symbol in chosen["symbol"].items()
        for measure, (name, colour) in LOOKS.items()
        if (folder / f"{str(gene).replace('/', '_')}.{measure}.bw").exists()
    ]
    resources = ElementTree.SubElement(session, "Resources")
    panel = ElementTree.SubElement(session, "Panel", name="DataPanel")
    for file, name, colour in files:
        ElementTree.SubElement(resources, "Resource", path=file, type="bw")
        ElementTree.SubElement(panel, "Track", id=file, name=name, color=colour, autoScale="true", visible="true")
    ElementTree.indent(session)
    (folder / "igv_session.xml").write_text(ElementTree.tostring(session, encoding="unicode", xml_declaration=True) + "\n")
