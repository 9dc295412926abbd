"""Pretraining a small Llama on the annotation text of the run, for demonstrations where no pretrained model is at hand."""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gta.errors import UserError
from gta.files import atomic_path
from gta.language.settings import PRETRAINED_POSITIONS, LanguageSettings, check
from gta.schedule import one_cycle

BATCH = 16
WARM_UP = 0.05


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level byte-pair tokenizer learnt from the texts; it puts `<s>` before each text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def pretrain(texts: list[str], settings: LanguageSettings, seed: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast, float]:
    """Train a small Llama to predict the next token of the texts.

    Args:
        texts: The corpus; each text is one sequence, cut to twice the longest prompt.
        settings: Size of the model and length of the training.
        seed: Seed of the weights and of the order of the texts.

    Returns:
        The model, its tokenizer, and the mean loss (nats per token) of the last tenth of the training.

    Raises:
        UserError: if there are too few texts, or the width does not suit the heads.
    """
    if len(texts) < BATCH:
        raise UserError(
            f"Pretraining a language model needs at least {BATCH} genes with a description, not {len(texts)}; give language.model"
            " a folder with a pretrained model instead."
        )
    check(settings)
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(texts, settings.vocabulary)
    end = [tokenizer.eos_token_id]
    limit = 2 * settings.max_prompt_tokens
    sequences = [torch.tensor((tokenizer(text)["input_ids"] + end)[:limit]) for text in texts]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.hidden_size * 8 // 3,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=max(1, settings.heads // 2),
        max_position_embeddings=PRETRAINED_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.pretraining_learning_rate, weight_decay=0.01)
    schedule = one_cycle(optimiser, settings.pretraining_learning_rate, settings.pretraining_steps, WARM_UP)
    losses = []
    generator = torch.Generator().manual_seed(seed)
    progress = tqdm(range(settings.pretraining_steps), desc="pretraining", file=sys.stderr, mininterval=5)
    for _ in progress:
        chosen = torch.randint(len(sequences), (BATCH,), generator=generator)
        batch = [sequences[int(i)] for i in chosen]
        tokens = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=tokenizer.pad_token_id)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(text) for text in batch], batch_first=True)
        loss = model(input_ids=tokens, attention_mask=mask, labels=tokens.masked_fill(mask == 0, -100)).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        progress.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    last = losses[-max(1, len(losses) // 10) :]
    return model.eval(), tokenizer, sum(last) / len(last)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write model and tokenizer as a Hugging Face folder."""
    with atomic_path(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
