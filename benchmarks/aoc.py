"""How fast the attention-only compressor encodes, beside LoRA (500xCompressor) and the whole language model.

Decoders with random weights in the layer shape of Llama-3.2-1B (width 2048, MLP 8192, 32 heads of which 8 have keys), as many
layers as asked for, and a tiny vocabulary, which encoding does not read. All in one run, interleaved, in float32 on a CPU (one
thread, CPU seconds) or bfloat16 on a GPU (wall seconds). Writes benchmarks/results/aoc.tsv and aoc.json and prints the JSON.

    make bench-aoc ARGS="--layers 2 --lengths 128 256 512 1024"
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from gta.compressor.blocks import run
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig
from gta.compressor.memory import Memory

RESULTS = Path(__file__).resolve().parent / "results"
MEMORY_TOKENS = 16
#: The published width, the length and the passes that the headline is about.
WIDTH, LENGTH = 2048, 512
COLUMNS = ["width", "layers", "length", "encoder", "pass", "seconds", "tokens_per_second", "weights_mib", "peak_mib"]


def make_model(width: int, layers: int, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """A frozen Llama with random weights; at width 2048 its layers have the shape of Llama-3.2-1B's."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=max(1, width // 256),
        head_dim=64,
        max_position_embeddings=16_384,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).to(device, dtype).requires_grad_(False).eval()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that the work takes: of the CPU, or on the clock for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - started
    started = time.process_time()
    work()
    return time.process_time() - started


@torch.no_grad()
def forward(compressor: AttentionOnlyCompressor, model: PreTrainedModel, inputs: torch.Tensor, mask: torch.Tensor) -> None:
    """A forward pass of the encoder, as in use."""
    compressor.eval()(model, inputs, mask)


@torch.no_grad()
def read(model: PreTrainedModel, inputs: torch.Tensor, mask: torch.Tensor) -> None:
    """A forward pass of the whole language model."""
    run(model.base_model, inputs, mask, mask.cumsum(dim=1) - 1)


def backward(compressor: AttentionOnlyCompressor, model: PreTrainedModel, inputs: torch.Tensor, mask: torch.Tensor) -> None:
    """A forward and a backward pass of the encoder alone, as in training."""
    memory: Memory = compressor.train()(model, inputs, mask)
    torch.stack([memory.keys, memory.values]).float().pow(2).mean().backward()  # noqa: PD011 (no table)
    for weight in compressor.trained_weights().values():
        weight.grad = None


def measure(width: int, layers: int, lengths: list[int], repeats: int, batch: int, device: torch.device) -> pd.DataFrame:
    """Times at one width.

    Returns:
        `width layers length encoder pass seconds tokens_per_second weights_mib peak_mib`; the smallest of the repeats. `pass` is
        forward or train (forward and backward). `weights_mib`: weights that encoding reads; `peak_mib`: on a GPU.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = make_model(width, layers, device, dtype)
    made = {
        name: AttentionOnlyCompressor(model, CompressorConfig(encoder, MEMORY_TOKENS)).to(device)
        for name, encoder in {"aoc": "aoc", "attention": "attention", "lora": "lora", "lora_merged": "lora"}.items()
    }
    made["lora_merged"].merge()
    weights = {name: sum(part.numel() for part in compressor.parameters()) for name, compressor in made.items()}
    weights["language_model"] = sum(part.numel() for part in model.base_model.parameters())
    rows = []
    for length in lengths:
        inputs = torch.randn(batch, length, width, device=device, dtype=dtype) * 0.02
        mask = torch.ones(batch, length, dtype=torch.long, device=device)
        works: dict[tuple[str, str], Callable[[], None]] = {
            (name, "forward"): partial(forward, compressor, model, inputs, mask) for name, compressor in made.items()
        }
        works["language_model", "forward"] = partial(read, model, inputs, mask)
        works |= {(name, "train"): partial(backward, made[name], model, inputs, mask) for name in ("aoc", "attention", "lora")}
        taken: dict[tuple[str, str], list[float]] = {key: [] for key in works}
        peak: dict[tuple[str, str], float] = dict.fromkeys(works, float("nan"))
        for _ in range(repeats):
            for key, work in works.items():
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                taken[key].append(seconds(work, device))
                if device.type == "cuda":
                    peak[key] = torch.cuda.max_memory_allocated() / 2**20
        for (name, which), values in taken.items():
            size = weights[name] * dtype.itemsize / 2**20
            best = min(values)
            rows.append((width, layers, length, name, which, best, batch * length / best, size, peak[name, which]))
    return pd.DataFrame(rows, columns=COLUMNS)


def with_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `aoc_is_faster`: how many times as long the encoder takes as `aoc` in the same pass."""
    keys = ["width", "length", "pass"]
    aoc = table[table["encoder"] == "aoc"].set_index(keys)["seconds"]
    return table.assign(aoc_is_faster=table["seconds"] / table.set_index(keys).index.map(aoc).to_numpy())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 256, LENGTH, 1024])
    parser.add_argument("--widths", type=int, nargs="*", default=[256, 1024], help="further widths, at length 512 only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    lengths = sorted({*arguments.lengths, LENGTH})
    parts = [measure(WIDTH, arguments.layers, lengths, arguments.repeats, arguments.batch, device)]
    parts += [
        measure(width, arguments.layers, [LENGTH], arguments.repeats, arguments.batch, device) for width in arguments.widths
    ]
    table = with_ratios(pd.concat(parts, ignore_index=True))
    RESULTS.mkdir(exist_ok=True)
    table.to_csv(RESULTS / "aoc.tsv", sep="\t", index=False, float_format="%.4g")
    print(table.to_string(index=False, float_format="%.4g"))
    ratios = table[(table["width"] == WIDTH) & (table["length"] == LENGTH)].set_index(["encoder", "pass"])["aoc_is_faster"]
    result = {
        "encode_speedup_vs_lora": round(ratios["lora", "forward"], 2),
        "encode_speedup_vs_lora_merged": round(ratios["lora_merged", "forward"], 2),
        "encode_speedup_vs_language_model": round(ratios["language_model", "forward"], 2),
        "encode_speedup_vs_attention": round(ratios["attention", "forward"], 2),
        "train_speedup_vs_lora": round(ratios["lora", "train"], 2),
        "layers": arguments.layers,
        "length": LENGTH,
        "width": WIDTH,
        "device": device.type,
        "dtype": "bfloat16" if device.type == "cuda" else "float32",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "machine": platform.machine(),
    }
    (RESULTS / "aoc.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
