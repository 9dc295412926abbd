"""The aligner: token alignment onto a frozen language model (our choice of architecture; GTA's abstract fixes only the idea).

features -> queries -> attention over text prototypes -> aligned tokens -> frozen language model, after the gene's prompt ->
attention pooling over the aligned positions -> two heads: the mean expression of the gene, and the deviation from it. An additive
part of the features (gta.aligner.additive) goes past the language model and is added to both.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from gta.aligner.additive import AdditivePart
from gta.aligner.data import Batch, Scaling
from gta.errors import UserError
from gta.files import require_file
from gta.language.cache import PromptCache


@dataclass(frozen=True)
class AlignerConfig:
    """Everything that is needed to build an aligner again.

    Attributes:
        features: Number of features per tile, F.
        width: Width of the language model's embedding space, D.
        heads: Heads of the attention over prototypes.
        dropout: Dropout on the projected features.
        additive: Whether an additive part of the features stands beside the deep one.
        tokens_learn_means: Whether the loss on the mean of genes trains the aligned tokens, too.
        language_model: Whether the aligned tokens are read by the language model.
        prompt: Which prompt each gene has: full or shuffled.
        seed: Seed of the weights; also of the shuffling of prompts.
        extractor: Name of the feature extractor.
        tile_length: Length of a tile, bp.
        target_mean: Mean over the training genes of mean expression, natural log.
        target_sd: Standard deviation of the same.
        language_model_name: Folder of the language model the aligner was trained with.
        language_model_sha256: Fingerprint of its weights.
    """

    features: int
    width: int
    heads: int
    dropout: float
    additive: bool
    tokens_learn_means: bool
    language_model: bool
    prompt: str
    seed: int
    extractor: str
    tile_length: int
    target_mean: float
    target_sd: float
    language_model_name: str
    language_model_sha256: str


class Aligner(nn.Module):
    """The trained part of GTA.

    The language model is passed to `forward`, not held: it is frozen and is neither trained nor saved with the aligner.
    """

    prototypes: torch.Tensor
    feature_mean: torch.Tensor
    feature_sd: torch.Tensor
    difference_sd: torch.Tensor

    def __init__(self, config: AlignerConfig, prototypes: torch.Tensor, scaling: Scaling, token_scale: float):
        """Build an aligner with fresh weights.

        Args:
            config: Its sizes.
            prototypes: (K, D) text prototypes.
            scaling: Scaling of the features.
            token_scale: Root mean square of the language model's word embeddings; aligned tokens are given the same.
        """
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("feature_mean", scaling.mean)
        self.register_buffer("feature_sd", scaling.sd)
        self.register_buffer("difference_sd", scaling.difference_sd)
        self.register_buffer("token_scale", torch.tensor(token_scale))
        self.additive = AdditivePart(config.features) if config.additive else None
        self.project = nn.Linear(config.features, width)
        self.project_difference = nn.Linear(config.features, width, bias=False)
        self.position = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.dropout = nn.Dropout(config.dropout)
        self.query_norm = nn.LayerNorm(width)
        self.prototype_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.token_norm = nn.LayerNorm(width)
        self.hidden_norm = nn.LayerNorm(width)
        self.pool_mean = nn.Linear(width, 1)
        self.pool_deviation = nn.Linear(width, 1)
        self.head_mean = nn.Linear(width, 1)
        self.head_deviation = nn.Linear(width, 1, bias=False)

    @property
    def scaling(self) -> Scaling:
        """The scaling of the features."""
        return Scaling(self.feature_mean, self.feature_sd, self.difference_sd)

    def align(self, batch: Batch) -> torch.Tensor:
        """Aligned tokens, (B, T, D), at the scale of the language model's word embeddings."""
        signs = torch.stack([batch.position, batch.position.abs(), (batch.position.abs() < 1).float()], dim=2)
        content = self.dropout(self.project(batch.features)) + self.project_difference(batch.difference)
        content = content + self.position(signs)
        words = self.prototype_norm(self.prototypes).expand(len(content), -1, -1)
        spoken, _ = self.attention(self.query_norm(content), words, words, need_weights=False)
        return self.token_norm(content + spoken) * self.token_scale

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
        tokens = self.align(batch)
        if language_model is not None and prompts is not None and prompt_rows is not None:
            tokens = read_after_prompt(language_model, tokens, prompts, prompt_rows[batch.gene])
        hidden = self.hidden_norm(tokens)
        read = hidden.detach() if self.training and not self.config.tokens_learn_means else hidden
        level = (torch.softmax(self.pool_mean(read), dim=1) * read).sum(dim=1)
        change = (torch.softmax(self.pool_deviation(hidden), dim=1) * hidden).sum(dim=1)
        mean = self.head_mean(level).squeeze(1) * self.config.target_sd + self.config.target_mean
        deviation = self.head_deviation(change).squeeze(1)
        if self.additive is None:
            return mean, deviation
        additive_mean, additive_deviation = self.additive(batch, self.difference_sd)
        return mean + additive_mean, deviation + additive_deviation

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`: the trained weights and buffers, never the language model's."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: Path) -> "Aligner":
        """Read an aligner.

        Raises:
            UserError: if the folder is absent, incomplete or of another version.
        """
        path = require_file(folder / "config.json", "description of an aligner")
        try:
            config = _config(path)
            weights = load_file(folder / "model.safetensors")
            scaling = Scaling(weights["feature_mean"], weights["feature_sd"], weights["difference_sd"])
            aligner = cls(config, weights["prototypes"], scaling, float(weights["token_scale"]))
            aligner.load_state_dict(weights)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise UserError(f"{folder} holds no complete aligner of this version ({error}): train it again.") from error
        return aligner.eval()


def _config(path: Path) -> AlignerConfig:
    """The sizes of a saved aligner.

    Raises:
        UserError: naming a key that is missing or unknown.
    """
    values = json.loads(path.read_text())
    known = {field.name for field in fields(AlignerConfig)}
    given = set(values) if isinstance(values, dict) else set()
    for what, keys in (("lacks", known - given), ("has the unknown key", given - known)):
        if keys:
            raise UserError(f"{path} is of no aligner of this version: it {what} {min(keys)!r}; train the aligner again.")
    return AlignerConfig(**values)


def read_after_prompt(
    language_model: PreTrainedModel, tokens: torch.Tensor, prompts: PromptCache, rows: torch.Tensor
) -> torch.Tensor:
    """Let the frozen language model read aligned tokens after each sample's prompt.

    Args:
        language_model: The frozen model.
        tokens: (B, T, D) aligned tokens.
        prompts: Cache of the prompts' keys and values.
        rows: (B,) row of the cache for each sample.

    Returns:
        (B, T, D) hidden states of the last layer. Token t of a sample with a prompt of n tokens stands at position n + t,
        whatever the padding of the batch: positions and mask are given explicitly.
    """
    cache, mask = prompts.prefix(rows)
    samples, length = tokens.shape[:2]
    positions = prompts.lengths[rows][:, None] + torch.arange(length)[None, :]
    full_mask = torch.cat([mask, torch.ones(samples, length, dtype=mask.dtype)], dim=1)
    output = language_model.base_model(
        inputs_embeds=tokens,
        attention_mask=full_mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
    )
    return output.last_hidden_state


def prompt_rows(prompts: PromptCache, genes: list[str], mode: str, seed: int) -> torch.Tensor:
    """The row of the prompt cache that each gene reads.

    Args:
        prompts: The cache.
        genes: The genes of the cohort.
        mode: `full`: the gene's own prompt; `shuffled`: that of another gene, no gene keeping its own.
        seed: Seed of the shuffling.

    Returns:
        (genes,) int64.

    Raises:
        UserError: if a gene has no prompt.
    """
    known = {gene: row for row, gene in enumerate(prompts.genes)}
    missing = [gene for gene in genes if gene not in known]
    if missing:
        raise UserError(f"The prompt cache holds no prompt of gene {missing[0]}: make the prompts again for the present cohort.")
    rows = torch.tensor([known[gene] for gene in genes])
    if mode == "shuffled":
        # Along a random cycle through all genes, so that none keeps its own prompt.
        cycle = torch.randperm(len(genes), generator=torch.Generator().manual_seed(seed))
        shuffled = rows.clone()
        shuffled[cycle] = rows[cycle.roll(1)]
        return shuffled
    return rows
