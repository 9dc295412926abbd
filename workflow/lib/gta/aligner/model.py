"""The aligner: token alignment onto a frozen language model (our choice of architecture; GTA's abstract fixes only the idea).

features -> queries -> attention over text prototypes -> aligned tokens -> frozen language model, after the gene's prompt -> two
heads: the mean expression of the gene, and the deviation from it. The deviation is read at the aligned positions, pooled by
attention; a linear branch of the features (gta.aligner.additive) is added to it. Mean expression is read (gta.aligner.readout)
from what the language model makes of the prompt, from what it makes of the aligned tokens, and from the linear branch.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from gta.aligner.additive import AdditivePart, LinearEffects
from gta.aligner.context import Pieces, compress_context
from gta.aligner.data import Batch, Scaling
from gta.aligner.kernel import GaussianKernel
from gta.aligner.lexical import TokenCounts
from gta.aligner.reading import PromptAttention, embedded_prompts, prompt_memory, read_after, read_with_prompt
from gta.aligner.readout import MeanReadout
from gta.aligner.tokens import pool_content
from gta.cnn.network import CnnConfig, SharedHead
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig
from gta.compressor.memory import Memory
from gta.compressor.prompts import embed_cached, states_after
from gta.errors import UserError
from gta.files import require_file
from gta.language.cache import PromptCache
from gta.language.models import reads_both_ways
from gta.networks.load import load_state


@dataclass(frozen=True)
class AlignerConfig:
    """Everything that is needed to build an aligner again.

    Attributes:
        features: Number of features per tile, F.
        width: Width of the language model's embedding space, D.
        heads: Heads of the attention over prototypes.
        dropout: Dropout on the projected features.
        additive: Whether there is a linear branch of the features.
        tokens_learn_means: Whether the loss on the mean of genes trains the aligned tokens and the read-out of it.
        language_model: What reads the aligned tokens: pretrained, minilm, smollm2, random, attention or none.
        prompt: Which prompt each gene has: full, shuffled, symbol, blank or none.
        seed: Seed of the weights; also of the shuffling of prompts.
        extractor: Name of the feature extractor.
        extractor_weights: Fingerprint of the extractor's weights; empty if it has none.
        tile_length: Length of a tile, bp.
        tiles: Tiles of a window.
        random_features: Whether random numbers stand in place of the features.
        alignment: What the features are aligned with: kmeans, linear or none.
        token_edges: Borders of the aligned tokens, in tiles; empty: every tile is one.
        reference: SHA-256 of the sequence of every contig of the reference, by name; empty if unknown.
        prompt_layers: Layers whose hidden states of the prompt are read for mean expression, embeddings included; 0: none.
        modulation: Components of these hidden states that may change the weights of the linear branch.
        target_mean: Mean over the training genes of mean expression, natural log.
        target_sd: Standard deviation of the same.
        language_model_name: The language model the aligner was trained with: its id and revision on the hub, or its folder.
        language_model_sha256: Fingerprint of its weights.
        prompt_compressor: `CompressorConfig` of the compressor of prompts that is trained with the aligner; empty: none.
        context_compressor: The same of the compressor of distal tokens; empty: none.
        context_edges: With one, borders of the pieces of the window, in aligned tokens.
        context_near: With one, number of the piece that is not compressed.
        extractor_head: `CnnConfig` of the head of an extractor that was trained on the study; empty: none.
        prompt_tokens: Tokens whose counts in the prompt are read for mean expression; 0: none.
        with_tokens: Whether there are aligned tokens; without them mean expression alone is predicted.
        tile_features: Whether mean expression is read from the features of each tile by itself, too.
        kernel_landmarks: Training genes with which a gaussian kernel compares others; 0: everything is linear.
        mean_only: Whether it is of a reference study: without genotypes nothing was learnt of differences between individuals,
            and their deviation is 0. In `config.json` only where it is true.
        hidden_width: Width of the language model's hidden states where it is not D, as of ALBERT and ELECTRA; 0: D. In
            `config.json` only where it is not 0.
    """

    features: int
    width: int
    heads: int
    dropout: float
    additive: bool
    tokens_learn_means: bool
    language_model: str
    prompt: str
    seed: int
    extractor: str
    extractor_weights: str
    tile_length: int
    tiles: int
    random_features: bool
    alignment: str
    token_edges: list[int]
    reference: dict[str, str]
    prompt_layers: int
    modulation: int
    target_mean: float
    target_sd: float
    language_model_name: str
    language_model_sha256: str
    prompt_compressor: dict[str, Any] = field(default_factory=dict)
    context_compressor: dict[str, Any] = field(default_factory=dict)
    context_edges: list[int] = field(default_factory=list)
    context_near: int = 0
    extractor_head: dict[str, Any] = field(default_factory=dict)
    prompt_tokens: int = 0
    with_tokens: bool = True
    tile_features: bool = False
    kernel_landmarks: int = 0
    mean_only: bool = False
    hidden_width: int = 0

    @property
    def states_width(self) -> int:
        """Width of the hidden states of prompts."""
        return self.hidden_width or self.width

    @property
    def read_width(self) -> int:
        """Width of what is read at the aligned positions: hidden states, or tokens where no language model reads them."""
        return self.width if self.language_model in ("none", "attention") else self.states_width


#: Keys of `config.json` that are written only where they differ from their defaults.
_OPTIONAL = ("mean_only", "hidden_width")


@dataclass(frozen=True)
class Compressed:
    """Prompts of a batch in memory tokens.

    Attributes:
        distinct: Memory of the distinct prompts.
        number: (B,) which of them each sample reads.
    """

    distinct: Memory
    number: torch.Tensor


class Aligner(nn.Module):
    """The trained part of GTA.

    The language model is passed to `forward`, not held: it is frozen and is neither trained nor saved with the aligner.
    """

    prototypes: torch.Tensor
    words: torch.Tensor | None
    feature_mean: torch.Tensor
    feature_sd: torch.Tensor
    difference_sd: torch.Tensor

    def __init__(
        self,
        config: AlignerConfig,
        prototypes: torch.Tensor,
        scaling: Scaling,
        token_scale: float,
        words: torch.Tensor | None = None,
        language_model: PreTrainedModel | None = None,
    ):
        """Build an aligner with fresh weights.

        Args:
            config: Its sizes.
            prototypes: (K, D) text prototypes.
            scaling: Scaling of the features.
            token_scale: Root mean square of the language model's word embeddings as it takes them; aligned tokens are given the
                same.
            words: (V, D) these embeddings, from which linear prototypes are learnt; None: the given prototypes are used as they
                are.
            language_model: The frozen language model, which compressors are cut out of; only needed with one.
        """
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("feature_mean", scaling.mean)
        self.register_buffer("feature_sd", scaling.sd)
        self.register_buffer("difference_sd", scaling.difference_sd)
        self.register_buffer("token_scale", torch.tensor(token_scale))
        states, read = 2 * config.prompt_layers * config.states_width, config.read_width
        self.additive = AdditivePart(config.features, states, config.modulation) if config.additive else None
        self.extractor_head = SharedHead(CnnConfig(**config.extractor_head)) if config.extractor_head else None
        self.token_counts = TokenCounts(config.prompt_tokens) if config.prompt_tokens else None
        kernels = {}
        if config.kernel_landmarks and config.tile_features:
            kernels["tiles"] = GaussianKernel(config.tiles * config.features, config.kernel_landmarks)
        if config.kernel_landmarks and states:
            kernels["prompt_mean"] = GaussianKernel(states // 2, config.kernel_landmarks)
        self.kernels = nn.ModuleDict(kernels)
        self.project = nn.Linear(config.features, width)
        self.project_difference = nn.Linear(config.features, width, bias=False)
        self.position = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.dropout = nn.Dropout(config.dropout)
        self.query_norm = nn.LayerNorm(width)
        self.prototype_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.token_norm = nn.LayerNorm(width)
        self.hidden_norm = nn.LayerNorm(read)
        self.pool_mean = nn.Linear(read, 1)
        self.pool_deviation = nn.Linear(read, 1)
        self.head_deviation = nn.Linear(read, 1, bias=False)
        # Mean over positions at first, which is all that is used where the loss on means does not train it.
        nn.init.zeros_(self.pool_mean.weight).requires_grad_(config.tokens_learn_means)
        nn.init.zeros_(self.pool_mean.bias).requires_grad_(config.tokens_learn_means)
        self.mean_readout = MeanReadout(self._blocks(), config.target_mean, config.tokens_learn_means)
        # Last, so that the weights above are drawn alike in all kinds.
        self.map: nn.Linear | None = None
        if config.alignment == "none":
            self.map = nn.Linear(width, width)
            del self.attention, self.prototype_norm
        self.register_buffer("words", words, persistent=False)
        learnt = words is not None and config.alignment == "linear"
        self.prototype_map = nn.Linear(len(words), len(prototypes)) if learnt and words is not None else None
        self.prompt_attention = PromptAttention(width, config.heads) if config.language_model == "attention" else None
        self.prompt_compressor = _compressor(language_model, config.prompt_compressor)
        self.context_compressor = _compressor(language_model, config.context_compressor)
        if config.mean_only:
            self._leave_out_deviation()

    def _leave_out_deviation(self) -> None:
        """Set what only differences between haplotypes train to 0, so that it has no effect, and hold it there.

        Without `tokens_learn_means` gradient descent trains nothing at all.
        """
        only_differences = [self.project_difference, self.pool_deviation, self.head_deviation]
        for module in only_differences:
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
        for part in [*only_differences, *([self.additive] if self.additive is not None else [])]:
            part.requires_grad_(False)
        if not self.config.tokens_learn_means:
            self.requires_grad_(False)

    def _blocks(self) -> dict[str, int]:
        """Columns of the read-out of mean expression by what they are."""
        linear = {"linear": 1, "features": self.config.features} if self.config.additive else {}
        states = self.config.prompt_layers * self.config.states_width
        prompt = {"prompt_mean": states, "prompt_last": states} if states else {}
        if self.config.prompt_tokens:
            prompt["prompt_tokens"] = self.config.prompt_tokens
        head = {"head": 1} if self.config.extractor_head else {}
        tiles = {"tiles": self.config.tiles * self.config.features} if self.config.tile_features else {}
        tokens = {"tokens": self.config.read_width} if self.config.with_tokens else {}
        return {**head, **linear, **tiles, **tokens, **prompt, **dict.fromkeys(self.kernels, self.config.kernel_landmarks)}

    @property
    def common_scale(self) -> list[int]:
        """Numbers of the blocks of the read-out whose columns share one scale.

        Rare tokens would otherwise have the weight of common ones, and the columns of a kernel are at their scale already.
        """
        return [number for number, name in enumerate(self.mean_readout.blocks) if name == "prompt_tokens" or name in self.kernels]

    @property
    def scaling(self) -> Scaling:
        """The scaling of the features."""
        return Scaling(self.feature_mean, self.feature_sd, self.difference_sd)

    @property
    def pieces(self) -> Pieces:
        """How the tokens of a window are divided, where distal ones are compressed."""
        return Pieces(self.config.context_edges, self.config.context_near)

    def trained_parameters(self) -> list[nn.Parameter]:
        """What is trained: all weights, but of a compressor not those that are the language model's."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def tokens(self, tiles: int) -> int:
        """How many aligned tokens a window of so many tiles has."""
        if not self.config.with_tokens:
            return 0
        return len(self.config.token_edges) - 1 if self.config.token_edges else tiles

    def positions(self, tiles: int, prompt: int) -> int:
        """How many positions of the language model are used by a prompt and a window.

        Args:
            tiles: Tiles of the window.
            prompt: Position of what follows the longest prompt, as it is cached.
        """
        behind = self.tokens(tiles)
        if self.context_compressor is not None:
            behind = self.pieces.positions(self.context_compressor.config.memory_tokens)
        if self.prompt_compressor is None:
            return prompt + behind
        # The compressor reads the token that begins a text, the prompt and its memory, at whatever positions: all are used.
        memory = self.prompt_compressor.config.memory_tokens
        read = 1 + prompt + memory
        return read + behind if self.prompt_compressor.config.positions == "continued" else max(read, memory + behind)

    def align(self, batch: Batch) -> torch.Tensor:
        """Aligned tokens, (B, N, D), N = T without pooling, at the scale of the language model's word embeddings."""
        signs = torch.stack([batch.position, batch.position.abs(), (batch.position.abs() < 1).float()], dim=2)
        content, change = self.dropout(self.project(batch.features)), self.project_difference(batch.difference)
        if self.config.token_edges:
            content = pool_content(content + self.position(signs), change, self.config.token_edges)
        else:
            content = content + change + self.position(signs)
        return self.token_norm(content + self.speak(self.query_norm(content))) * self.token_scale

    def speak(self, queries: torch.Tensor) -> torch.Tensor:
        """What the tokens say in the language model's space, (B, N, D): what they find among the prototypes, or a linear map."""
        if self.map is not None:
            return self.map(queries)
        # All tokens ask the same words: as one long sequence, keys and values are computed once and not for every sample.
        words = self.prototype_norm(self.text_prototypes())[None]
        return self.attention(queries.reshape(1, -1, queries.shape[2]), words, words, need_weights=False)[0].view_as(queries)

    def text_prototypes(self) -> torch.Tensor:
        """The text prototypes, (K, D): given, or Time-LLM's learnt linear map over the vocabulary (arXiv:2310.01728)."""
        if self.prototype_map is None or self.words is None:
            return self.prototypes
        return self.prototype_map(self.words.T).T

    def forward(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict haplotypes.

        Args:
            batch: B haplotypes of T tiles.
            language_model: The frozen language model, or None without one.
            prompts: Its cache of prompts.
            prompt_rows: (genes,) row of the cache that each gene of the cohort reads.

        Returns:
            Mean expression of the gene and deviation from it, each (B,), natural-log units; the deviation is defined up to a
            constant per gene.
        """
        hidden, states, counts = self._read_all(batch, language_model, prompts, prompt_rows)
        # Differences between people are small: from here on in full precision, whatever the language model computes in.
        with torch.autocast(hidden.device.type, enabled=False):
            return self.read_out(hidden.float(), batch, states, counts)

    def _read_all(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return `hidden`, `prompt_states` and `prompt_counts`, prompts compressed once; arguments as of `forward`."""
        memory = self._compressed(batch, language_model, prompts, prompt_rows)
        hidden = self.hidden(batch, language_model, prompts, prompt_rows, memory)
        states = self.prompt_states(batch, language_model, prompts, prompt_rows, memory)
        return hidden, states, self.prompt_counts(batch, prompts, prompt_rows)

    def hidden(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
        memory: "Compressed | None" = None,
    ) -> torch.Tensor:
        """Return what was read at the aligned positions, (B, N, D); arguments as of `forward`, `memory` of `_compressed`.

        Without aligned tokens N is 0.
        """
        if not self.config.with_tokens:
            return batch.features.new_zeros(len(batch.gene), 0, self.config.read_width)
        tokens = self.align(batch)
        if language_model is None or prompts is None or prompt_rows is None:
            return tokens
        rows = prompt_rows[batch.gene]
        if self.prompt_attention is not None:
            words = embedded_prompts(language_model, prompts, rows, tokens.device)
            attended: torch.Tensor = self.prompt_attention(tokens, *words)
            return attended
        return self.read(tokens, language_model, prompts, rows, memory)

    @torch.no_grad()
    def prompt_states(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
        memory: "Compressed | None" = None,
    ) -> torch.Tensor:
        """Return the frozen hidden states of the prompts, (B, 2 * prompt_layers * D): means over tokens, then the last tokens'.

        With one layer of attention in the language model's place there are the token embeddings alone.
        """
        device = batch.features.device
        if not self.config.prompt_layers or language_model is None or prompts is None or prompt_rows is None:
            return torch.zeros(len(batch.gene), 0, device=device)
        if self.prompt_compressor is None:
            rows, number = torch.unique(prompt_rows[batch.gene], return_inverse=True)
            states = prompts.states[rows.cpu()].to(device, torch.float32)
        else:
            made = memory or self._compress(language_model, prompts, prompt_rows[batch.gene], device)
            states, number = states_after(language_model, made.distinct).to(device), made.number
        return states[:, : self.config.prompt_layers].transpose(1, 2).flatten(1)[number]

    def prompt_counts(self, batch: Batch, prompts: PromptCache | None, prompt_rows: torch.Tensor | None) -> torch.Tensor:
        """Return the weighted counts of the tokens of the prompts, (B, prompt_tokens) float32."""
        if self.token_counts is None or prompts is None or prompt_rows is None:
            return torch.zeros(len(batch.gene), 0, device=batch.features.device)
        rows, number = torch.unique(prompt_rows[batch.gene], return_inverse=True)
        counts: torch.Tensor = self.token_counts(prompts, rows)
        return counts[number]

    def read(
        self,
        tokens: torch.Tensor,
        language_model: PreTrainedModel,
        prompts: PromptCache,
        rows: torch.Tensor,
        memory: "Compressed | None" = None,
    ) -> torch.Tensor:
        """Let the frozen language model read aligned tokens: after the prompt or, if it is an encoder, together with it.

        Args:
            tokens: (B, N, D) aligned tokens.
            language_model: The frozen language model.
            prompts: Its prompts.
            rows: (B,) row of the prompts for each sample.
            memory: Memory of these prompts, if a compressor has already made it.

        Returns:
            Hidden states of the last layer, (B, N, D); of the tokens next to the TSS alone, if the others are compressed.
        """
        if reads_both_ways(language_model):
            return read_with_prompt(language_model, tokens, prompts, rows)
        if memory is not None:
            before = memory.distinct.rows(memory.number)
        else:
            before = self.prompt_memory(language_model, prompts, rows, tokens.device)
        if self.context_compressor is not None:
            tokens, before = compress_context(self.context_compressor, language_model, tokens, self.pieces, before)
        return read_after(language_model, tokens, before)

    def prompt_memory(
        self, language_model: PreTrainedModel, prompts: PromptCache, rows: torch.Tensor, device: torch.device
    ) -> Memory:
        """What stands for the prompts of B samples: the cached ones, or memory that is made of their words here and now."""
        if self.prompt_compressor is None:
            return prompt_memory(language_model, prompts, rows, device)
        made = self._compress(language_model, prompts, rows, device)
        return made.distinct.rows(made.number)

    def _compress(
        self, language_model: PreTrainedModel, prompts: PromptCache, rows: torch.Tensor, device: torch.device
    ) -> "Compressed":
        """Compress the distinct prompts of B samples."""
        assert self.prompt_compressor is not None
        distinct, number = torch.unique(rows, return_inverse=True)
        return Compressed(
            self.prompt_compressor(language_model, *embed_cached(language_model, prompts, distinct, device)), number
        )

    def _compressed(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
    ) -> "Compressed | None":
        """Return the memory of a batch's prompts, made once for all that reads it; None without a compressor of prompts."""
        if self.prompt_compressor is None or language_model is None or prompts is None or prompt_rows is None:
            return None
        return self._compress(language_model, prompts, prompt_rows[batch.gene], batch.features.device)

    def mean_inputs(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the inputs of the read-out of mean expression, (B, columns) float32; arguments as of `forward`."""
        hidden, states, counts = self._read_all(batch, language_model, prompts, prompt_rows)
        with torch.autocast(hidden.device.type, enabled=False):
            effects = None if self.additive is None else self.additive(batch, self.difference_sd, states)
            return self._mean_inputs(batch, self.hidden_norm(hidden.float()), effects, states, counts)

    def _mean_inputs(
        self, batch: Batch, hidden: torch.Tensor, effects: LinearEffects | None, states: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        pooled = (torch.softmax(self.pool_mean(hidden), dim=1) * hidden).sum(dim=1)
        head = [] if self.extractor_head is None else [self._extractor_prediction(batch)]
        linear = [] if effects is None else [effects.score[:, None], effects.features]
        tiles = [self._kernel_columns("tiles", batch.features.flatten(1))] if self.config.tile_features else []
        tokens = [pooled] if self.config.with_tokens else []
        means, last = states.tensor_split(2, dim=1)
        prompt = [self._kernel_columns("prompt_mean", means), last, counts]
        return torch.cat([*head, *linear, *tiles, *tokens, *prompt], dim=1)

    def _kernel_columns(self, block: str, inputs: torch.Tensor) -> torch.Tensor:
        """Return the columns of a block of the read-out, (B, columns), from its inputs (B, N): themselves, or by its kernel."""
        if block not in self.kernels:
            return inputs
        columns: torch.Tensor = self.kernels[block](inputs)
        return columns

    def kernel_inputs(
        self,
        batch: Batch,
        language_model: PreTrainedModel | None,
        prompts: PromptCache | None,
        prompt_rows: torch.Tensor | None,
    ) -> dict[str, torch.Tensor]:
        """Return what each kernel compares genes by, (B, N) float32; arguments as of `forward`."""
        given = {}
        if "tiles" in self.kernels:
            given["tiles"] = batch.features.flatten(1)
        if "prompt_mean" in self.kernels:
            given["prompt_mean"] = (
                self.prompt_states(batch, language_model, prompts, prompt_rows).tensor_split(2, dim=1)[0].float()
            )
        return given

    def _extractor_prediction(self, batch: Batch) -> torch.Tensor:
        """Return the trained extractor's own prediction, (B, 1), standard deviations of mean expression."""
        assert self.extractor_head is not None
        predicted: torch.Tensor = self.extractor_head(batch.features * self.feature_sd + self.feature_mean)[:, None]
        return predicted

    def read_out(
        self, hidden: torch.Tensor, batch: Batch, states: torch.Tensor, counts: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean expression and deviation, each (B,).

        Args:
            hidden: (B, N, D) float32, what was read at the aligned positions.
            batch: The haplotypes.
            states: (B, 2 * prompt_layers * D) float32, from `prompt_states`.
            counts: (B, prompt_tokens) float32, from `prompt_counts`; None: there are none.
        """
        counts = states.new_zeros(len(states), 0) if counts is None else counts
        hidden = self.hidden_norm(hidden)
        effects = None if self.additive is None else self.additive(batch, self.difference_sd, states)
        detached = self.training and not self.config.tokens_learn_means
        mean = self.mean_readout(self._mean_inputs(batch, hidden.detach() if detached else hidden, effects, states, counts))
        if not self.config.with_tokens:
            return mean, torch.zeros_like(mean)
        change = (torch.softmax(self.pool_deviation(hidden), dim=1) * hidden).sum(dim=1)
        deviation = self.head_deviation(change).squeeze(1)
        return mean, deviation if effects is None else deviation + effects.deviation

    def save_pretrained(self, folder: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Write `config.json` and `model.safetensors`: the trained weights and buffers, never the language model's.

        Of a learnt map over the vocabulary the prototypes that it makes are written: nothing else of it is needed to predict.

        Args:
            folder: Folder to write to.
            weights: The weights to write; None: those that the aligner has now.
        """
        folder.mkdir(parents=True, exist_ok=True)
        written = asdict(self.config)
        for name in _OPTIONAL:
            if not written[name]:
                del written[name]
        (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
        save_file({name: tensor.contiguous() for name, tensor in self._to_keep(weights).items()}, folder / "model.safetensors")

    @torch.no_grad()
    def _to_keep(self, weights: dict[str, torch.Tensor] | None) -> dict[str, torch.Tensor]:
        weights = dict(weights or self.state_dict())
        if self.prototype_map is not None and self.words is not None:
            weight, bias = weights.pop("prototype_map.weight"), weights.pop("prototype_map.bias")
            weights["prototypes"] = nn.functional.linear(self.words.T, weight, bias).T
        return weights

    @classmethod
    def from_pretrained(cls, folder: Path, language_model: PreTrainedModel | None = None) -> "Aligner":
        """Read an aligner.

        Args:
            folder: Written by `save_pretrained`.
            language_model: The frozen language model that it was trained with; needed if it compresses.

        Raises:
            UserError: if the folder is absent, incomplete or of another version.
        """
        config = read_config(folder)
        damaged = f"{folder} holds no complete aligner of this version ({{}}): train it again."
        try:
            weights = load_file(folder / "model.safetensors")
            scaling = Scaling(weights["feature_mean"], weights["feature_sd"], weights["difference_sd"])
            first = (weights["prototypes"], scaling, float(weights["token_scale"]))
        except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
            raise UserError(damaged.format(error)) from error
        aligner = cls(config, *first, None, language_model)
        load_state(aligner, weights, str(folder), "aligner of this version", "train it again")
        return aligner.eval()


def _compressor(language_model: PreTrainedModel | None, config: dict[str, Any]) -> AttentionOnlyCompressor | None:
    if not config:
        return None
    if language_model is None:
        raise ValueError("An aligner that compresses is built with its language model.")
    return AttentionOnlyCompressor(language_model, CompressorConfig(**config))


def read_config(folder: Path) -> AlignerConfig:
    """The sizes and sources of a saved aligner.

    Raises:
        UserError: if there is none, or naming a key that is missing or unknown.
    """
    path = require_file(folder / "config.json", "description of an aligner")
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): train the aligner again.") from error
    known = {field.name for field in fields(AlignerConfig)}
    given = set(values) if isinstance(values, dict) else set()
    for what, keys in (("lacks", known - given - set(_OPTIONAL)), ("has the unknown key", given - known)):
        if keys:
            raise UserError(f"{path} is of no aligner of this version: it {what} {min(keys)!r}; train the aligner again.")
    return AlignerConfig(**values)
