"""The `hf` extractor: any encoder of DNA in the format of Hugging Face transformers, read tile by tile."""

import inspect
from pathlib import Path

import torch

from gta.errors import UserError
from gta.features.extractor import FeatureName, default_batch
from gta.features.settings import FeatureSettings
from gta.features.weights import find_weights, fingerprint
from gta.networks.folder import check_config, check_network, first_position, larger_vocabulary, positions_read
from gta.networks.load import first_line, load_network

#: What names the folder, in messages.
KEY = "features.weights"


class HuggingFaceExtractor:
    """Last hidden states of an encoder, averaged over the tokens of each tile.

    Attributes: see `TileExtractor`.
    """

    name = "hf"
    margin = 0

    def __init__(self, settings: FeatureSettings, device: torch.device):
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        path = find_weights(settings)
        check_network(path, KEY, language=False)
        try:
            config = AutoConfig.from_pretrained(path, trust_remote_code=False)
            self._tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        # Files of others: the libraries raise errors of many kinds, bare ones included.
        except Exception as error:
            raise UserError(
                f"{KEY}: {path} is no Hugging Face model that transformers knows, with tokenizer and safetensors weights"
                f" ({first_line(error)}): choose another, or download it again."
            ) from error
        described = config.to_dict()
        check_config(described, path, KEY, language=False)
        self._model, _ = load_network(AutoModel, path, KEY, trust_remote_code=False, use_safetensors=True)
        if self._tokenizer.pad_token is None:
            # Shorter tiles are padded, and what is padded is masked: any token will do.
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.unk_token or self._tokenizer.decode([0])
        self._refuse_other_letters(path)
        # Tokenizers of BERT's kind number sentences, too, which others do not take.
        self._inputs = set(inspect.signature(self._model.forward).parameters)
        self._model = self._model.eval().requires_grad_(False).to(device)
        limit = positions_read(described)
        self._longest = None if limit is None else limit - first_position(described)
        self._rows = len(self._model.get_input_embeddings().weight)
        self._path = path
        self.weights = fingerprint(path)
        self.batch = default_batch(device, 32)
        width = int(self._model.config.hidden_size)
        self.feature_names: list[FeatureName] = [(f"channel_{number}", "hf", "mean") for number in range(width)]

    def block_length(self, tile_length: int) -> int:
        """A tile is read whole."""
        return tile_length

    def scan(self, blocks: torch.Tensor) -> torch.Tensor:
        """Mean hidden states, (B, F), of tiles (B, L).

        Raises:
            UserError: if a tile has more tokens than the model reads.
        """
        texts = [bytes(row).decode("ascii") for row in blocks.cpu().numpy()]
        tokens = self._tokenizer(texts, return_tensors="pt", padding=True, return_special_tokens_mask=True)
        length = tokens["input_ids"].shape[1]
        if self._longest is not None and length > self._longest:
            raise UserError(
                f"features.tile_length: {length} tokens of a tile of {blocks.shape[1]} bp are more than the {self._longest} that"
                " the model reads; choose shorter tiles."
            )
        if int(tokens["input_ids"].max()) >= self._rows:
            raise UserError(larger_vocabulary(self._path, KEY, len(self._tokenizer), self._rows))
        counted = (1 - tokens.pop("special_tokens_mask")).to(blocks.device)
        tokens = tokens.to(blocks.device)
        hidden = self._model(**{name: part for name, part in tokens.items() if name in self._inputs}).last_hidden_state
        weights = (counted * tokens["attention_mask"])[:, :, None].to(hidden.dtype)
        mean: torch.Tensor = (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)
        return mean

    def _refuse_other_letters(self, path: Path) -> None:
        """Refuse a tokenizer that knows no bases: to it every tile is the same unknown word."""
        tokens = self._tokenizer("ACGTTGCAGATTACA" * 4, add_special_tokens=False)["input_ids"]
        unknown = self._tokenizer.unk_token_id
        if not tokens or (unknown is not None and set(tokens) == {unknown}):
            raise UserError(
                f"{KEY}: the tokenizer of {path} knows no sequence of the letters A, C, G and T (to it all is one unknown token):"
                " choose an encoder of DNA."
            )

    def combine(self, scanned: torch.Tensor, block_length: int) -> torch.Tensor:
        """The one block of each tile, (R, F)."""
        return scanned[:, 0]


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> HuggingFaceExtractor:
    """The extractor of the settings."""
    return HuggingFaceExtractor(settings, device)
