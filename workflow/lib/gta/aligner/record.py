"""What a training leaves: the trained model with its card, its learning curve, and what is needed to doubt it."""

import json
import platform
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
import transformers

from gta import __version__
from gta.aligner.card import model_card
from gta.aligner.metrics import METRICS
from gta.aligner.setup import Setup
from gta.aligner.validation import criterion
from gta.compressor.prompts import bytes_per_gene
from gta.files import atomic_path
from gta.inputs.tables import write_table
from gta.language.cache import bytes_per_slot
from gta.language.models import fingerprint

if TYPE_CHECKING:
    from gta.aligner.train import Training

#: Predictions of mean expression by a read-out that did not learn from the gene.
HELD_OUT_MEANS = "mean_out_of_fold.tsv"


def write_record(training: "Training", history: pd.DataFrame, folder: Path, running: Path | None = None) -> None:
    """Write the trained aligner, its history and what is needed to doubt it.

    Args:
        training: What was trained, with its best weights.
        history: One row per epoch.
        folder: Folder to write.
        running: The folder of the state of the training, whose metrics move to the results; it is removed.

    Raises:
        RuntimeError: if the language model was changed by the training, which would be an error of ours.
    """
    setup = training.setup
    after = fingerprint(setup.language_model)
    if after != setup.frozen_sha256:
        raise RuntimeError("The frozen language model changed during training.")
    best = min(history.to_dict("records"), key=lambda row: criterion(setup.settings, row))
    frozen = sum(p.numel() for p in setup.language_model.parameters()) if setup.reader.language_model else 0
    record = {
        "settings": asdict(setup.settings),
        "seed": setup.seed,
        "trained_weights": sum(p.numel() for p in setup.aligner.trained_parameters()),
        "frozen_weights": frozen,
        "prompt_bytes_per_gene": prompt_bytes(setup),
        "language_model_sha256_before": setup.frozen_sha256,
        "language_model_sha256_after": after,
        "best_epoch": int(best["epoch"]),
        "mean_readout_strengths": training.strengths,
        "versions": {
            "gta": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    with atomic_path(folder) as temporary:
        setup.aligner.save_pretrained(temporary / "model")
        card = model_card(setup.aligner.config, asdict(setup.settings), setup.cohort, best)
        (temporary / "model" / "README.md").write_text(card)
        setup.aligner.save_pretrained(temporary / "last", training.last_weights)
        if running:
            shutil.copy(running / METRICS, temporary / METRICS)
        write_table(history, temporary / "history.tsv")
        write_table(training.held_out_means, temporary / HELD_OUT_MEANS)
        (temporary / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    if running:
        shutil.rmtree(running)


def prompt_bytes(setup: Setup) -> float:
    """Bytes of the prompt's keys and values that the language model reads with a gene, averaged over genes.

    Without a language model, or with attention in its place, there are none.
    """
    prompts, compressor = setup.reader.prompts, setup.aligner.prompt_compressor
    if prompts is None or setup.settings.language_model == "attention":
        return 0.0
    slot = bytes_per_slot(setup.language_model) if prompts.keys is None else 0
    return bytes_per_gene(prompts, compressor.config.memory_tokens if compressor is not None else None, slot)
