"""Folders of tiny networks with random weights, as users bring them in large."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split, Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

#: Words of the tokenizers, after four special tokens.
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
VOCABULARY = 60


def tokenizer(template: str = "<s> $A", words: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words: w4, w5, ...

    Args:
        template: What it puts around a text, `$A`.
        words: Size of the vocabulary.
    """
    vocabulary = {**{word: number for number, word in enumerate(SPECIAL)}, **{f"w{number}": number for number in range(4, words)}}
    made = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    used = [(word, number) for number, word in enumerate(SPECIAL) if word in template]
    made.post_processor = TemplateProcessing(single=template, special_tokens=used)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def dna_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of single bases."""
    made = Tokenizer(WordLevel({word: number for number, word in enumerate([*SPECIAL, *"ACGTN"])}, unk_token="<unk>"))
    made.pre_tokenizer = Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>")


def write_network(
    folder: Path, kind: Any, config: PretrainedConfig, template: str = "<s> $A", words: int = VOCABULARY, seed: int = 0
) -> PreTrainedModel:
    """Write a network with random weights and its tokenizer, and return the network.

    Args:
        folder: Folder to write.
        kind: Class of the network: an auto class or its own.
        config: Its sizes.
        template: As of `tokenizer`.
        words: As of `tokenizer`.
        seed: Seed of the weights.
    """
    torch.manual_seed(seed)
    network = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    network.save_pretrained(folder)
    tokenizer(template, words).save_pretrained(folder)
    return network.eval()


def change_config(folder: Path, **values: Any) -> None:
    """Change keys of a folder's `config.json`; None removes one."""
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def write_description(folder: Path, **config: Any) -> None:
    """Write what a dry run reads of a network: `config.json`, a tokenizer, and a file with one weight."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer().save_pretrained(folder)
    save_file({"norm.weight": torch.ones(4)}, folder / "model.safetensors", metadata={"format": "pt"})
