"""What all tests share."""

import os
from pathlib import Path

import pytest

# The models of the tests are small: threads of PyTorch that wait for each other take longer than one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, where there is one: `$GTA_TEST_DATA`, or `shared/data` beside the repository."""
    folder = Path(os.environ.get("GTA_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "geuvadis-chr22").is_dir():
        pytest.skip(f"no real data at {folder} (set GTA_TEST_DATA)")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first, so that no process is left alone with them in the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
