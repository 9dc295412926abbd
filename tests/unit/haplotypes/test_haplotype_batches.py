"""Batches for training: the same sequences as one by one, in every order, memory and process; one-hot by hand."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gta.errors import UserError
from gta.haplotypes import HaplotypeDataset, HaplotypeReader, Window, one_hot_bytes
from gta.haplotypes.settings import HaplotypeSettings

PEOPLE = tuple(f"p{number}" for number in range(7))


@pytest.fixture
def reader_and_windows(make_world) -> tuple[HaplotypeReader, list[Window]]:
    rng = np.random.default_rng(3)
    sequence = "".join(rng.choice(list("ACGT"), 900))
    records = []
    for position in range(5, 880, 6):
        ref = sequence[position : position + int(rng.integers(1, 4))]
        alt = ref[0] + "ACCA"[: rng.integers(0, 4)] if len(ref) > 1 else next(base for base in "ACGT" if base != ref)
        if alt != ref:
            # The last person is haploid.
            calls = ["|".join(map(str, rng.integers(0, 2, 2))) for _ in PEOPLE[1:]]
            records.append((position + 1, ref, alt, [*calls, str(rng.integers(0, 2))]))
    world = make_world(sequence, records, people=PEOPLE)
    windows = [
        Window("a", "chr1", 100, 228, 164, "-"),
        Window("b", "chr1", 40, 104, 72, "+"),
        Window("c", "chr1", 850, 978, 890, "-"),
    ]
    settings = HaplotypeSettings(variants="all")
    return HaplotypeReader(world.inputs / "genotypes.vcf.gz", world.inputs / "reference.fa", settings=settings), windows


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("reuse", [False, True])
def test_batches_are_the_sequences_of_each_window(reader_and_windows, size, reuse):
    reader, windows = reader_and_windows
    at = 0
    for batch in reader.batches(windows, size, strand_aware=True, reuse=reuse):
        whole = reader.read(batch.window)
        first = reader.people.index(batch.people[0])
        assert reader.people[first : first + len(batch.people)] == batch.people
        expected = whole.sequences(slice(2 * first, 2 * (first + len(batch.people))), strand_aware=True).reshape(
            batch.sequences.shape
        )
        assert batch.present.tolist() == [[True, person != PEOPLE[-1]] for person in batch.people]
        assert np.array_equal(batch.sequences[batch.present], expected[batch.present])
        assert (batch.sequences[~batch.present] == ord("N")).all()
        at += len(batch.people)
    assert at == len(windows) * len(PEOPLE)


def test_no_windows_make_no_batches(reader_and_windows):
    assert list(reader_and_windows[0].batches([])) == []


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (2, "spawn")])
def test_torch_loader(reader_and_windows, workers, context):
    reader, windows = reader_and_windows
    dataset = HaplotypeDataset(reader, windows, people_per_batch=3)
    assert len(dataset) == 9
    loader = DataLoader(dataset, batch_size=None, shuffle=workers == 0, num_workers=workers, multiprocessing_context=context)
    seen = set()
    for item in loader:
        window, people = int(item["window"]), item["people"].tolist()
        rows = slice(2 * people[0], 2 * people[-1] + 2)
        expected = reader.read(windows[window]).sequences(rows).reshape(item["sequences"].shape)
        present = item["present"].numpy()
        assert item["sequences"].dtype == torch.uint8
        assert np.array_equal(item["sequences"].numpy()[present], expected[present])
        seen |= {(window, person) for person in people}
    assert len(seen) == len(windows) * len(PEOPLE)
    with pytest.raises(IndexError):
        dataset[9]


def test_reading_ahead_tells_what_is_wrong(reader_and_windows):
    reader, windows = reader_and_windows
    batches = reader.batches([windows[0], Window("x", "chr9", 0, 10, 5)])
    assert next(batches).window == windows[0]
    with pytest.raises(UserError, match="'x' is on contig 'chr9', which the reference"):
        next(batches)


def test_a_reader_leaves_nothing_behind(reader_and_windows, tmp_path, monkeypatch):
    first, windows = reader_and_windows
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reader = HaplotypeReader(*first._shown)
    assert len(list(tmp_path.glob("gta-haplotypes-*"))) == 1
    assert len(list(reader.batches(windows[:1]))) == 1
    del reader
    assert not list(tmp_path.glob("gta-haplotypes-*"))


def test_a_reader_can_be_sent_to_another_process(reader_and_windows):
    reader, windows = reader_and_windows
    before = reader.read(windows[0]).sequences(slice(0, 4))
    assert np.array_equal(pickle.loads(pickle.dumps(reader)).read(windows[0]).sequences(slice(0, 4)), before)


def test_one_hot_by_hand():
    sequences = np.frombuffer(b"ACGTNR", dtype=np.uint8)[None]
    expected = [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    assert one_hot_bytes(sequences).tolist() == [expected]
    out = np.full((1, 4, 6), 9, dtype=np.uint8)
    assert one_hot_bytes(sequences, out) is out
    assert out.tolist() == [expected]
