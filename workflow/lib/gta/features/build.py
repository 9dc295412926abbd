"""Building the feature store of one contig: each distinct piece of sequence is read once."""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from gta.errors import UserError
from gta.features.extractor import Extractor, TileExtractor, make_extractor
from gta.features.passes import Passes
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore, GeneFeatures
from gta.features.tiles import TileWork
from gta.features.windows import WindowWork
from gta.files import atomic_path
from gta.haplotypes import PanelSet, Reference
from gta.inputs.tables import write_table

#: Most windows in a chunk, whose passes share batches and whose features are saved together.
CHUNK = 8
#: Windows from which the size of the whole is estimated.
SAMPLE = 12

#: How one of the two kinds of extractors goes about a window.
Work = TileWork | WindowWork


@dataclass(frozen=True)
class Estimate:
    """What a contig's features will need, from a sample of its windows.

    Attributes:
        passes: Sequences that the extractor will read.
        without: Sequences that it would read without de-duplication.
        gigabytes: Size of the store.
    """

    passes: int
    without: int
    gigabytes: float


def make_work(extractor: Extractor, panels: PanelSet, genes: pd.DataFrame, reference: Reference, tile_length: int) -> Work:
    """How the windows are read by an extractor.

    Raises:
        UserError: if the windows do not fit it.
    """
    length = int(genes["window_end"].iloc[0] - genes["window_start"].iloc[0])
    if isinstance(extractor, TileExtractor):
        return TileWork(extractor, panels, reference, length, tile_length)
    return WindowWork(extractor, panels, reference, length)


def estimate(work: Work, genes: pd.DataFrame, precision: str) -> Estimate:
    """What the features of all windows will need."""
    numbers = np.unique(np.linspace(0, len(genes) - 1, SAMPLE).round().astype(int))
    counts = np.array([work.count(genes.iloc[number]) for number in numbers.tolist()], dtype=float)
    passes, without, rows, entries = (counts.mean(axis=0) * len(genes)).tolist()
    size = 2 if precision == "float16" else 4
    gigabytes = (rows * len(work.extractor.feature_names) * size + 2 * entries) / 1e9
    return Estimate(round(passes), round(without), gigabytes)


def build_store(
    panels: PanelSet,
    genes: pd.DataFrame,
    reference: Reference,
    settings: FeatureSettings,
    device: torch.device | None = None,
    parts: Path | None = None,
) -> tuple[FeatureStore, pd.DataFrame]:
    """The feature store of a contig's windows, and its account.

    Args:
        panels: Haplotype panels of the contig.
        genes: Rows of `cohort/genes.tsv` of this contig.
        reference: Reader of the reference sequence.
        settings: The stage's settings.
        device: Where the network computes; None: the CPU.
        parts: Folder of finished chunks, from which a run that was killed goes on; None: nothing is kept.

    Returns:
        The store, and a table of how much reading de-duplication saved, per gene.

    Raises:
        UserError: if there is no window, or the windows do not fit the extractor.
    """
    if genes.empty:
        raise UserError(f"The cohort has no gene on contig {panels.contig} as it was given: check --contig and --haplotypes.")
    device = device or torch.device("cpu")
    extractor = make_extractor(settings, int(genes["window_end"].iloc[0] - genes["window_start"].iloc[0]), device)
    work = make_work(extractor, panels, genes, reference, settings.tile_length)
    needed = estimate(work, genes, settings.store)
    print(
        f"{extractor.name}: this will need about {needed.gigabytes:.2g} GB and {needed.passes:,} passes, in place of"
        f" {needed.without:,} without de-duplication; weights {extractor.weights[:12]}",
        file=sys.stderr,
        flush=True,
    )
    # A chunk of a large network is one window, so that little is lost when it is killed.
    size = CHUNK if extractor.batch >= CHUNK else 1
    stores, accounts = [], []
    with tqdm(total=needed.passes, desc="passes", file=sys.stderr, mininterval=5, unit_scale=True) as progress:
        passes = Passes(extractor.batch, device, progress)
        for number, at in enumerate(range(0, len(genes), size)):
            kept = parts / f"{number:05d}.safetensors" if parts is not None else None
            table = kept.with_suffix(".json") if kept is not None else None
            if kept is not None and table is not None and kept.exists():
                stores.append(FeatureStore.load(kept))
                accounts.append(pd.DataFrame(json.loads(table.read_text())))
                continue
            store, account = _chunk(work, genes.iloc[at : at + size], passes, list(panels.people))
            if kept is not None and table is not None:
                with atomic_path(table) as temporary:
                    temporary.write_text(json.dumps(account.to_dict("list")))
                # Exactly: what is rounded twice is not what is rounded once.
                store.save(kept)
                # From now on it is read from there: not all windows need fit into memory.
                store = FeatureStore.load(kept)
            stores.append(store)
            accounts.append(account)
    return FeatureStore.merge(stores), pd.concat(accounts, ignore_index=True)


def _chunk(work: Work, genes: pd.DataFrame, passes: Passes, people: list[str]) -> tuple[FeatureStore, pd.DataFrame]:
    """Features and account of a few windows, read in common batches."""
    built = work.read([genes.iloc[number] for number in range(len(genes))], passes)
    names = [str(gene) for gene in genes["gene"]]
    by_gene: dict[str, GeneFeatures] = {}
    account = []
    for gene, window in zip(names, built, strict=True):
        by_gene[gene] = GeneFeatures(gene, window.rows, window.index, window.carriers, window.tile_distance)
        carried = window.carriers[window.carriers >= 0]
        tiles = window.index.shape[1]
        account.append(
            {
                "gene": gene,
                "n_haplotypes": len(carried),
                "n_distinct_haplotypes": len(np.unique(carried)),
                "n_tiles": tiles,
                "tile_length": work.tile_length,
                "n_distinct_tiles": len(window.rows),
                "tiles_without_deduplication": len(carried) * tiles,
                "scanned_kb": window.read_bases / 1000,
                "scanned_kb_without_deduplication": len(carried) * work.length / 1000,
            }
        )
    tracks = {gene: window.tracks for gene, window in zip(names, built, strict=True) if window.tracks is not None}
    store = FeatureStore(
        people,
        work.extractor.feature_names,
        work.tile_length,
        work.extractor.name,
        by_gene,
        work.tile_lengths,
        work.extractor.weights,
        work.track_names,
        tracks,
        head=work.head,
    )
    return store, pd.DataFrame(account)


def parts_folder(out: Path, settings: FeatureSettings, haplotypes: Path, genes: pd.DataFrame, inputs: Path) -> Path:
    """The folder beside a store where its finished chunks are kept; another one for everything that changes them.

    Args:
        out: The store to be written.
        settings: The stage's settings.
        haplotypes: File of the haplotypes.
        genes: Rows of `cohort/genes.tsv` of the contig.
        inputs: Folder of the inputs, whose checksums are noted.
    """
    digest = hashlib.sha256(repr(sorted(asdict(settings).items())).encode())
    digest.update(genes.to_csv(index=False).encode())
    for path in _files(settings, haplotypes, inputs):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return out.parent / f".parts-{out.stem}-{digest.hexdigest()[:16]}"


def _files(settings: FeatureSettings, haplotypes: Path, inputs: Path) -> Iterator[Path]:
    from gta.features.weights import weight_files

    yield haplotypes
    yield from (path for path in (inputs / "checksums.tsv",) if path.exists())
    if settings.weights is not None and settings.revision is None:
        yield from (path for path in weight_files(Path(settings.weights).expanduser()) if path.is_file())
    if Path(settings.factors).is_file():
        yield Path(settings.factors)


def remove_parts(out: Path) -> None:
    """Remove all finished chunks of a store that is complete, and those of earlier settings."""
    for folder in out.parent.glob(f".parts-{out.stem}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def write_feature_names(store: FeatureStore, path: Path) -> None:
    """Write what each feature column is, as TSV."""
    names = pd.DataFrame(store.feature_names, columns=["matrix_id", "name", "pool"])
    names.insert(0, "feature", np.arange(len(names)))
    write_table(names, path)
