"""How fast the aligner trains: with cached prompts and without, by prompt length; on a GPU at the shape of Llama-3.2-1B, too.

A step is a forward and a backward pass through a frozen random Llama and an update of the aligner's weights. Three ways to read
the prompt, of the same result: `cached` (keys and values from the prompt cache), `anew` (the prompt of each gene in the batch is
read in every step, without gradients), `together` (prompt and aligned tokens as one sequence, through which gradients flow back).
The CPU part counts CPU seconds of one thread; `step_mib` is the memory that a step needs at its peak, beyond weights and
prompt cache. Writes benchmarks/results/aligner.tsv and aligner.json; prints the latter.

    make bench-aligner
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from gta.aligner.data import Batch, Scaling
from gta.aligner.losses import pair_loss
from gta.aligner.model import Aligner, AlignerConfig
from gta.aligner.reading import prompt_memory, read_after, read_with_prompt
from gta.aligner.settings import AlignerSettings
from gta.language.cache import PromptCache, read_prompts
from gta.language.models import fingerprint
from gta.language.prompts import Prompt

RESULTS = Path(__file__).resolve().parent / "results"
PROMPTS = (64, 128, 256, 512, 1024)
HEADLINE = 512
#: Dense bfloat16 peak by the vendor's data sheets, FLOP/s, by a part of the device's name.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}

Reader = Callable[[PreTrainedModel, torch.Tensor, PromptCache, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """Sizes of a benchmark: the language model's, the features', and the batch's."""

    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    words: int
    tiles: int
    features: int
    genes: int
    haplotypes: int


SMALL = Shape(256, 688, 6, 8, 4, 1000, 128, 234, 2, 4)
#: Llama-3.2-1B on the features of Enformer.
LARGE = Shape(2048, 8192, 16, 32, 8, 128_256, 896, 3072, 2, 8)


def cached(model: PreTrainedModel, tokens: torch.Tensor, prompts: PromptCache, rows: torch.Tensor) -> torch.Tensor:
    """Read the tokens after cached prompts."""
    return read_after(model, tokens, prompt_memory(model, prompts, rows, tokens.device))


class Bench:
    """A frozen random Llama, its prompts, an aligner, and a batch."""

    def __init__(self, shape: Shape, prompt_tokens: int, device: torch.device, precision: torch.dtype):
        """Build everything from one seed; prompts have `prompt_tokens` tokens."""
        torch.manual_seed(1)
        self.shape, self.device = shape, device
        config = LlamaConfig(
            vocab_size=shape.words,
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_heads,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
        )
        self.model = LlamaForCausalLM(config).to(device, precision).requires_grad_(False).eval()  # type: ignore[arg-type]
        words = torch.randint(0, shape.words, (shape.genes, prompt_tokens)).tolist()
        self.prompts = [Prompt(f"g{number}", "", tokens, False) for number, tokens in enumerate(words)]
        self.model_fingerprint = fingerprint(self.model)
        self.cache = read_prompts(self.model, self.prompts, self.model_fingerprint)
        # What a user may set has its default, but that the language model's part is trained by both losses.
        chosen = {**asdict(AlignerSettings()), "heads": shape.heads, "tokens_learn_means": True}
        aligner = AlignerConfig(
            **{field.name: chosen[field.name] for field in fields(AlignerConfig) if field.name in chosen},
            features=shape.features,
            width=shape.width,
            seed=1,
            extractor="none",
            extractor_weights="",
            tile_length=128,
            tiles=shape.tiles,
            token_edges=[],
            reference={},
            prompt_layers=shape.layers + 1,
            target_mean=0.0,
            target_sd=1.0,
            language_model_name="random",
            language_model_sha256=self.model_fingerprint,
        )
        one = torch.ones(shape.features)
        self.aligner = Aligner(aligner, torch.randn(64, shape.width), Scaling(0 * one, one, one), 0.02).to(device)
        self.optimiser = torch.optim.AdamW(self.aligner.parameters(), lr=1e-4)
        samples = shape.genes * shape.haplotypes
        self.gene = torch.arange(shape.genes).repeat_interleave(shape.haplotypes)
        self.batch = Batch(
            torch.randn(samples, shape.tiles, shape.features),
            torch.randn(samples, shape.tiles, shape.features),
            torch.linspace(-4, 4, shape.tiles).expand(samples, -1),
            self.gene,
        ).to(device)
        self.target = torch.randn(samples, device=device)

    def step(self, read: Reader) -> float:
        """One step of training; gives the loss."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            hidden = read(self.model, self.aligner.align(self.batch), self.cache, self.gene)
        states = self.aligner.prompt_states(self.batch, self.model, self.cache, self.gene)
        level, change = self.aligner.read_out(hidden.float(), self.batch, states)
        loss = torch.nn.functional.huber_loss(level, self.target)
        for part, observed in zip(change.split(self.shape.haplotypes), self.target.split(self.shape.haplotypes), strict=True):
            loss = loss + pair_loss(part, observed, 1.0)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.aligner.parameters(), 1.0)
        self.optimiser.step()
        return loss.item()

    def anew(self, model: PreTrainedModel, tokens: torch.Tensor, _: PromptCache, rows: torch.Tensor) -> torch.Tensor:
        """Read each gene's prompt, without gradients, and then the tokens."""
        return cached(model, tokens, read_prompts(model, self.prompts, self.model_fingerprint), rows)


def resident(what: str) -> int:
    """Resident memory of this process in bytes: `VmRSS` now, `VmHWM` at its peak; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def resident_before() -> int:
    """Resident memory before a step, in bytes, from which on the peak is looked for anew; freed memory is given back first."""
    gc.collect()
    if platform.system() == "Linux":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def on_cpu(prompt_tokens: int, steps: int) -> list[dict[str, object]]:
    """Rows of the table for one length of prompts: the three ways take turns, step by step."""
    bench = Bench(SMALL, prompt_tokens, torch.device("cpu"), torch.float32)
    ways: dict[str, Reader] = {"cached": cached, "anew": bench.anew, "together": read_with_prompt}
    state = {name: tensor.clone() for name, tensor in bench.aligner.state_dict().items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    peaks: dict[str, int] = {}
    losses: dict[str, float] = {}
    for _ in range(steps):
        for way, read in ways.items():
            bench.aligner.load_state_dict(state)
            torch.manual_seed(2)
            before = resident_before()
            start = time.process_time()
            losses[way] = bench.step(read)
            seconds[way].append(time.process_time() - start)
            peaks[way] = resident("VmHWM") - before
    spread = max(losses.values()) - min(losses.values())
    assert spread < 1e-4, f"the three ways differ: {losses}"
    samples = SMALL.genes * SMALL.haplotypes
    together = min(seconds["together"])
    return [
        {
            "prompt_tokens": prompt_tokens,
            "aligned_tokens": SMALL.tiles,
            "way": way,
            "samples_per_second": round(samples / min(taken), 2),
            "speedup": round(together / min(taken), 2),
            "step_mib": round(peaks[way] / 2**20),
        }
        for way, taken in seconds.items()
    ]


def on_gpu(steps: int) -> dict[str, object]:
    """Throughput at the shape of Llama-3.2-1B with cached prompts, in bfloat16."""
    device = torch.device("cuda")
    bench = Bench(LARGE, HEADLINE, device, torch.bfloat16)
    for _ in range(2):
        bench.step(cached)
    with FlopCounterMode(display=False) as counter:
        bench.step(cached)
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        bench.step(cached)
    torch.cuda.synchronize()
    taken = (time.perf_counter() - start) / steps
    name = torch.cuda.get_device_name()
    peak = next((value for part, value in PEAKS.items() if part in name), None)
    return {
        "gpu": name,
        "samples_per_second": round(LARGE.genes * LARGE.haplotypes / taken, 2),
        "teraflops": round(counter.get_total_flops() / taken / 1e12, 1),
        "peak_share": None if peak is None else round(counter.get_total_flops() / taken / peak, 3),
        "gpu_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1),
    }


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4, help="steps of each way; the fastest counts [4]")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for prompt_tokens in PROMPTS:
        rows += on_cpu(prompt_tokens, arguments.steps)
        for row in rows[-3:]:
            print(
                f"{row['prompt_tokens']:>5} prompt tokens, {row['way']:<9}{row['samples_per_second']:>8} samples per CPU second,"
                f" {row['speedup']:>6}x, step {row['step_mib']} MiB",
                flush=True,
            )
    cached = {row["prompt_tokens"]: row["speedup"] for row in rows if row["way"] == "cached"}
    anew = {row["prompt_tokens"]: row["speedup"] for row in rows if row["way"] == "anew"}
    result: dict[str, object] = {
        "prompt_cache_speedup": cached[HEADLINE],
        "prompt_cache_speedup_vs_anew": round(float(str(cached[HEADLINE])) / float(str(anew[HEADLINE])), 2),
        "prompt_cache_speedup_by_prompt_tokens": cached,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}",
    }
    if torch.cuda.is_available():
        result |= on_gpu(10)
    RESULTS.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(RESULTS / "aligner.tsv", sep="\t", index=False)
    (RESULTS / "aligner.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
