"""Any Hugging Face encoder, here a random BERT that reads single bases."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from gta.errors import UserError
from gta.features.build import build_store
from gta.features.hf import HuggingFaceExtractor
from gta.features.settings import FeatureSettings

WORDS = {word: number for number, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "A", "C", "G", "T", "N"])}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bert")
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=9,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=300,
    )
    BertModel(config).save_pretrained(path)
    return path


def test_tiles_are_means_of_hidden_states(made, folder: Path) -> None:
    panels, reference, genes = made
    settings = FeatureSettings(extractor="hf", weights=str(folder), tile_length=256)
    store, account = build_store(panels, genes, reference, settings)
    model = BertModel.from_pretrained(folder).eval()
    panel, stored = panels.panel("G2"), store.gene("G2")
    for haplotype in (0, len(panel.alleles) - 1):
        sequence = panel.sequence(haplotype, reference)
        for tile in range(4):
            letters = bytes(sequence[256 * tile : 256 * (tile + 1)]).decode()
            tokens = torch.tensor([[1, *(WORDS[letter] for letter in letters), 2]])
            with torch.no_grad():
                expected = model(tokens).last_hidden_state[0, 1:-1].mean(dim=0)
            np.testing.assert_allclose(stored.haplotype(haplotype)[tile], expected.numpy(), atol=1e-5)
    assert (account["n_distinct_tiles"] < account["tiles_without_deduplication"]).all()
    assert store.weights and len(store.feature_names) == 16


def test_tiles_that_are_too_long_and_folders_without_a_model_are_refused(made, folder: Path, tmp_path: Path) -> None:
    panels, reference, genes = made
    with pytest.raises(UserError, match="514 tokens of a tile of 512 bp are more than the 300"):
        build_store(panels, genes, reference, FeatureSettings(extractor="hf", weights=str(folder), tile_length=512))
    with pytest.raises(UserError, match="no folder of a Hugging Face model"):
        build_store(panels, genes, reference, FeatureSettings(extractor="hf", weights=str(tmp_path), tile_length=256))


def test_a_tokenizer_that_knows_no_bases_is_refused(folder: Path, tmp_path: Path) -> None:
    """To one of English words every tile is the same unknown word, and all features would be alike."""
    shutil.copytree(folder, tmp_path / "english")
    words = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 3, "gene": 4}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path / "english")
    with pytest.raises(UserError, match="knows no sequence of the letters A, C, G and T"):
        HuggingFaceExtractor(FeatureSettings(extractor="hf", weights=str(tmp_path / "english"), tile_length=256), CPU)


def test_a_causal_network_without_padding_reads_tiles(tmp_path: Path) -> None:
    """No token for padding, and a tokenizer that numbers sentences, which the network does not take."""
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    ).save_pretrained(tmp_path)
    torch.manual_seed(0)
    network = LlamaModel(
        LlamaConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )
    network.save_pretrained(tmp_path)
    extractor = HuggingFaceExtractor(FeatureSettings(extractor="hf", weights=str(tmp_path), tile_length=8), CPU)
    tiles = torch.tensor([list(b"ACGTACGT"), list(b"TTTTACGA")], dtype=torch.uint8)
    expected = network.eval()(torch.tensor([[WORDS[chr(letter)] for letter in tile] for tile in tiles.tolist()]))
    torch.testing.assert_close(extractor.scan(tiles), expected.last_hidden_state.mean(dim=1))


def test_tokens_beyond_the_embeddings_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    extractor = HuggingFaceExtractor(FeatureSettings(extractor="hf", weights=str(tmp_path / "other"), tile_length=8), CPU)
    # Tokens that were added after the vocabulary, which the network was not trained with.
    extractor._tokenizer.add_tokens(["ACGT"])
    with pytest.raises(UserError, match="has 10 words, but the model has embeddings of 9"):
        extractor.scan(torch.tensor([list(b"ACGTACGT")], dtype=torch.uint8))
