"""The compressor: memory tokens behind a sequence, read by an encoder that is cut out of the language model itself.

AOC: Honig, Lizarraga, Zhang, Wu, arXiv:2501.06730. The comparison: 500xCompressor (arXiv:2408.03094, `lora`), ICAE
(arXiv:2307.06945, `icae`).
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from gta.compressor.blocks import attention_projections, copy_encoder, dropouts, run, weights_in_use
from gta.compressor.memory import Memory, memory_of_cache, read_memory
from gta.compressor.settings import ENCODER_NAME, NO_ENCODER
from gta.errors import UserError
from gta.files import atomic_path, require_file
from gta.language.models import fingerprint, word_embeddings

#: encoder -> whether the MLPs are removed, whether LoRA is trained in place of the attention's weights.
ENCODERS = {
    "aoc": (True, False),
    "attention": (False, False),
    "lora": (False, True),
    "lora_aoc": (True, True),
    "icae": (False, True),
}
POSITIONS = ("prefix", "continued", "restarted")
#: As in 500xCompressor: alpha is half of the rank, on queries, keys, values and output.
LORA_DROPOUT = 0.05
#: Rank of LoRA, as in 500xCompressor.
DEFAULT_RANK = 64
#: Name of the trained weights that are not the encoder's.
OWN = ("memory", "begin", "gain")


@dataclass(frozen=True)
class CompressorConfig:
    """Everything that is needed to build a compressor again, beside the language model.

    Attributes:
        encoder: `aoc` (MLPs removed, attention trained), `attention` (the same weights trained, MLPs kept frozen), `lora` (MLPs
            kept, LoRA on the attention: 500xCompressor), `lora_aoc` (MLPs removed, LoRA), `icae` (`lora`, embeddings handed over,
            a learned token begins the text).
        memory_tokens: M.
        mlp: What removed MLPs leave: `zero` (nothing) or `identity` (the published code: each block adds norm(h)).
        hand_over: `kv` (keys and values of the memory tokens in every layer) or `embeds` (their last hidden states, which the
            language model reads as embeddings).
        positions: Of memory and text, the same in training and use. `prefix`: memory at 0..M-1, text from M on, for encoder and
            language model alike, whatever the length N of the text. `continued`: text at 0..N-1, memory at N..N+M-1, the language
            model goes on at N+M. `restarted` (the published code): the same, but the language model goes on at M.
        lora_rank: Rank of LoRA; alpha is half of it.
        seed: Seed of the new weights.
        language_model_sha256: Fingerprint of the language model.
    """

    encoder: str = "aoc"
    memory_tokens: int = 4
    mlp: str = "zero"
    hand_over: str = "kv"
    positions: str = "prefix"
    lora_rank: int = 64
    seed: int = 1
    language_model_sha256: str = ""


def config_of(name: str, memory_tokens: int, positions: str, seed: int, language_model_sha256: str) -> CompressorConfig:
    """The compressor that the configuration calls `name`.

    Raises:
        UserError: if there is no such encoder.
    """
    found = ENCODER_NAME.fullmatch(name)
    if found is None:
        raise UserError(f"compressor.encoders: {name!r} {NO_ENCODER}")
    return CompressorConfig(
        encoder=found["encoder"],
        memory_tokens=memory_tokens,
        mlp="identity" if found["identity"] else "zero",
        hand_over="embeds" if found["embeds"] else "kv",
        positions=positions,
        lora_rank=int(found["rank"] or DEFAULT_RANK),
        seed=seed,
        language_model_sha256=language_model_sha256,
    )


class AttentionOnlyCompressor(nn.Module):
    """Compresses sequences of embeddings to M memory tokens of a frozen language model.

    The language model is passed where it is needed, not held: it is neither trained nor saved with the compressor. Nor are its
    MLPs, which `attention` and `lora` share with it.
    """

    def __init__(self, language_model: PreTrainedModel, config: CompressorConfig):
        """Cut an encoder out of the language model.

        Args:
            language_model: A causal language model with frozen weights.
            config: What to make of it. Its fingerprint is not checked here.

        Raises:
            UserError: if the model is of a kind that is not known, or the configuration makes no sense.
        """
        super().__init__()
        _check(config)
        self.config = config
        without_mlp, lora = ENCODERS[config.encoder]
        embeds = hands_over_embeddings(config)
        encoder = copy_encoder(language_model, config.mlp if without_mlp else "shared")
        words = language_model.get_input_embeddings().weight
        assert isinstance(words, torch.Tensor)
        width = words.shape[1]
        if lora:
            torch.manual_seed(config.seed)
            encoder = add_lora(encoder, config.lora_rank)
            trained = [name for name, weight in encoder.named_parameters() if "lora_" in name]
            used = set(weights_in_use(encoder, width, embeds))
            # B is zero at first, so nothing flows back to A: it is in use where its B is.
            trained = [name for name in trained if name.replace("lora_A", "lora_B") in used]
        else:
            # With `attention`, what `aoc` would train: a norm that feeds a kept MLP stays frozen.
            cut = copy_encoder(language_model, config.mlp)
            trained = weights_in_use(cut, width, embeds)
        for name, weight in encoder.named_parameters():
            if ".mlp." not in name:
                weight.requires_grad_(name in set(trained))
        self.encoder = encoder
        # At the scale and centre of the word embeddings: far larger ones would drown the text in the first norm.
        generator = torch.Generator().manual_seed(config.seed)
        fresh = torch.randn(config.memory_tokens + 1, width, generator=generator)
        if words.device.type != "meta":
            known = word_embeddings(language_model).cpu()
            fresh = known.mean(dim=0) + fresh * known.std(dim=0)
        fresh = fresh.to(words.device, words.dtype)
        self.memory = nn.Parameter(fresh[:-1].clone())
        self.begin = nn.Parameter(fresh[-1].clone()) if config.encoder == "icae" else None
        # Hidden states have another scale than embeddings; the factor starts where it makes them alike.
        self.gain = nn.Parameter(torch.ones((), dtype=words.dtype, device=words.device)) if embeds else None
        if self.gain is not None and words.device.type != "meta":
            with torch.no_grad():
                hidden, _ = run(
                    encoder, self.memory[None], torch.ones(1, len(self.memory)).long(), torch.arange(len(self.memory))[None]
                )
                self.gain.copy_(self.memory.pow(2).mean().sqrt() / hidden.pow(2).mean().sqrt())
        self.register_state_dict_post_hook(_drop_frozen)
        self.register_load_state_dict_post_hook(_need_no_frozen)

    def forward(
        self,
        language_model: PreTrainedModel,
        embeddings: torch.Tensor,
        mask: torch.Tensor,
        first_positions: torch.Tensor | None = None,
    ) -> Memory:
        """Compress sequences.

        Args:
            language_model: The frozen language model; reads the memory if embeddings are handed over.
            embeddings: (B, N, D) word embeddings or aligned tokens.
            mask: (B, N) int64, 1 where there is a token. What is missing may stand anywhere: it changes nothing.
            first_positions: (B,) int64, where each sequence begins; None: at 0. Only for keys and values: handed-over embeddings
                are read from 0 on.

        Returns:
            The memory of each sequence.
        """
        samples, tokens = len(embeddings), self.config.memory_tokens
        memory = self.memory.to(embeddings.dtype).expand(samples, -1, -1)
        text_positions, memory_positions, next_positions = place(mask, tokens, self.config.positions)
        if first_positions is not None:
            text_positions, memory_positions = (part + first_positions[:, None] for part in (text_positions, memory_positions))
            next_positions = next_positions + first_positions
        hidden, cache = run(
            self.encoder,
            torch.cat([embeddings, memory], dim=1),
            torch.cat([mask, mask.new_ones(samples, tokens)], dim=1),
            torch.cat([text_positions, memory_positions], dim=1),
        )
        every = mask.new_ones(samples, tokens)
        if self.gain is not None:
            return read_memory(language_model, hidden[:, -tokens:] * self.gain, every)
        return memory_of_cache(cache, tokens, every, next_positions)

    def train(self, mode: bool = True) -> "AttentionOnlyCompressor":
        """Set the mode of training; only the dropout of LoRA knows one, the language model's own modules stay as in use."""
        super().train(mode)
        self.encoder.eval()
        for dropout in dropouts(self.encoder):
            dropout.train(mode)
        return self

    def trained_weights(self) -> dict[str, nn.Parameter]:
        """The weights that are trained and saved, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad and ".mlp." not in name}

    def merge(self) -> None:
        """Add LoRA to the weights it adapts: the same memory, and as fast as without LoRA. For use only, not for training."""
        from peft.tuners.lora import LoraLayer

        for part in self.encoder.modules():
            if isinstance(part, LoraLayer):
                part.merge()

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`: the trained weights only."""
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            (temporary / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
            weights = {name: weight.detach().cpu().contiguous() for name, weight in self.trained_weights().items()}
            save_file(weights, temporary / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: Path, language_model: PreTrainedModel) -> "AttentionOnlyCompressor":
        """Read a compressor.

        Args:
            folder: Written by `save_pretrained`.
            language_model: The language model that it was cut out of.

        Raises:
            UserError: if the folder is absent, incomplete or of another version, or the language model is another one.
        """
        path = require_file(folder / "config.json", "description of a compressor")
        try:
            values = json.loads(path.read_text())
            if set(values) != {field.name for field in fields(CompressorConfig)}:
                raise ValueError("other keys than expected")
            config = CompressorConfig(**values)
            weights = load_file(folder / "model.safetensors")
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            raise UserError(f"{folder} holds no complete compressor of this version ({error}): train it again.") from error
        if config.language_model_sha256 != fingerprint(language_model):
            raise UserError(f"{folder} was cut out of another language model: give that one, or train it again.")
        compressor = cls(language_model, config)
        trained = compressor.trained_weights()
        if {name: weight.shape for name, weight in trained.items()} != {name: weight.shape for name, weight in weights.items()}:
            raise UserError(f"{folder} holds other weights than its config.json describes: train it again.")
        with torch.no_grad():
            for name, weight in trained.items():
                weight.copy_(weights[name])
        return compressor.eval()


def _drop_frozen(compressor: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    """The state of a compressor is what is trained: all else is the language model's."""
    assert isinstance(compressor, AttentionOnlyCompressor)
    kept = {prefix + name for name in compressor.trained_weights()}
    for name in [name for name in state if name.startswith(prefix) and name not in kept]:
        del state[name]


def _need_no_frozen(compressor: nn.Module, keys: Any) -> None:
    """What is not in the state of a compressor is not missed when one is loaded."""
    assert isinstance(compressor, AttentionOnlyCompressor)
    every = {name for name, _ in (*compressor.named_parameters(), *compressor.named_buffers())}
    frozen = tuple(every - set(compressor.trained_weights()))
    keys.missing_keys[:] = [name for name in keys.missing_keys if not name.endswith(frozen)]


def place(mask: torch.Tensor, tokens: int, positions: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where text and memory stand.

    Args:
        mask: (B, N) int64, 1 where there is a token.
        tokens: Memory tokens, M.
        positions: As in `CompressorConfig`.

    Returns:
        Positions of the text (B, N), of the memory (B, M), and of the first token that the language model reads after it (B,).
    """
    lengths = mask.sum(dim=1)
    text = (mask.cumsum(dim=1) - 1).clamp(min=0)
    slots = torch.arange(tokens, device=mask.device).expand(len(mask), -1)
    after = torch.full_like(lengths, tokens)
    if positions == "prefix":
        return text + tokens, slots, after
    memory = lengths[:, None] + slots
    return text, memory, lengths + tokens if positions == "continued" else after


def hands_over_embeddings(config: CompressorConfig) -> bool:
    """Whether hidden states are handed over; `icae` never hands over keys and values."""
    return config.hand_over == "embeds" or config.encoder == "icae"


def add_lora(encoder: nn.Module, rank: int) -> nn.Module:
    """The encoder with LoRA on queries, keys, values and output of every attention."""
    # peft takes a second to import, in every job that knows of compressors, and only the encoders with LoRA need it.
    from peft import LoraConfig, inject_adapter_in_model

    names = attention_projections(encoder)
    modules = dict(encoder.named_modules())
    adapters = LoraConfig(
        r=rank,
        lora_alpha=max(1, rank // 2),
        lora_dropout=LORA_DROPOUT,
        target_modules="|".join(map(re.escape, names)),
        fan_in_fan_out=isinstance(modules[names[0]], Conv1D),
    )
    adapted: Any = inject_adapter_in_model(adapters, encoder)
    return adapted.eval()


def _check(config: CompressorConfig) -> None:
    allowed = {
        "encoder": tuple(ENCODERS),
        "mlp": ("zero", "identity"),
        "hand_over": ("kv", "embeds"),
        "positions": POSITIONS,
    }
    for key, choices in allowed.items():
        if getattr(config, key) not in choices:
            raise UserError(f"compressor.{key}: {getattr(config, key)!r} is none of {', '.join(choices)}; choose one of these.")
    if config.memory_tokens < 1:
        raise UserError(f"compressor.memory_tokens: {config.memory_tokens} is too few; at least 1 is needed.")
