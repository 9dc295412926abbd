"""A study whose feature extractor is trained on its own training genes, from the simulation to the report's files."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from running import TINY, run_in

from gta.features.store import FeatureStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a finished study."""
    folder = tmp_path_factory.mktemp("trained")
    values = yaml.safe_load(TINY.read_text())
    values["simulation"] |= {"genes": 80, "annotated_genes": 80, "people": 16, "mean_spacing": 13000}
    values["cohort"] |= {"window_length": 4096, "test_genes": 0.2}
    values["features"] = {"extractor": "cnn", "tile_length": 128}
    values["cnn"] = {
        "upstream": 512,
        "downstream": 512,
        "networks": 2,
        "channels": 8,
        "tile_channels": 4,
        "epochs": 2,
        "batch": 8,
    }
    values["models"] = {"gta": {"prompt_tokens": True}, "no_llm": {"language_model": "none"}}
    path = folder / "trained.yaml"
    path.write_text(yaml.safe_dump(values))
    done = run_in(folder, "--configfile", path, "--cores", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results" / "tiny"


def test_features_come_from_the_networks_and_training_genes_from_the_one_that_left_them_out(finished: Path) -> None:
    genes = pd.read_csv(finished / "cohort" / "genes.tsv", sep="\t")
    means = pd.read_csv(finished / "cnn" / "model" / "out_of_fold.tsv", sep="\t").set_index("gene")
    assert set(means.index) == set(genes.loc[genes["split"] == "train", "gene"])
    store = FeatureStore.load_all(sorted((finished / "features").glob("*.safetensors")))
    assert store.extractor == "cnn" and store.head["networks"] == 2
    for gene, mean in means["mean"].items():
        assert abs(store.tracks[str(gene)][0, 0] - mean) < 1e-3


def test_models_read_the_head_and_the_tokens(finished: Path) -> None:
    account = json.loads((finished / "aligner" / "gta" / "seed1" / "training.json").read_text())
    assert {"head", "prompt_mean", "prompt_tokens"} <= set(account["mean_readout_strengths"])
    config = json.loads((finished / "aligner" / "no_llm" / "seed1" / "model" / "config.json").read_text())
    assert config["prompt_tokens"] == 0 and config["extractor_head"]["tile_length"] == 128


def test_the_extractor_and_its_mutants_are_in_the_results(finished: Path) -> None:
    summary = pd.read_csv(finished / "evaluation" / "summary.tsv", sep="\t")
    assert {"gta", "no_llm", "track", "ridge", "features_and_prompt"} <= set(summary["model"])
    mutations = pd.read_parquet(finished / "attribution" / "gta" / "mutagenesis.parquet")
    assert len(mutations) and mutations["effect_mean"].notna().all()
