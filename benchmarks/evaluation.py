"""How long the evaluation takes at the size of the whole Geuvadis cohort, and how that compares with a loop over scipy.

3,000 genes, 421 held-out people and 5 models, of random numbers with a planted correlation; two thirds of the genes are seen,
a third as unseen. Timed is `gta.evaluation.score.Scorer` with everything that it writes: intervals over genes and over people, a
null for every gene. The loop makes three of the numbers of each gene (correlation, bootstrap interval over people, permutation
p-value) by `scipy.stats.spearmanr` for a few genes, in the same process; CPU seconds are compared.

    make bench-evaluation [ARGS="--genes 300 --people 100"]
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from gta.cohort.tables import Cohort
from gta.evaluation import across_people
from gta.evaluation.models import Model
from gta.evaluation.resampling import generator
from gta.evaluation.score import Scorer
from gta.evaluation.settings import EvaluationSettings

RESULTS = Path(__file__).resolve().parent / "results" / "evaluation.json"


def cohort(genes: int, people: int, rng: np.random.Generator) -> Cohort:
    """A cohort of random expression in which everybody is held out, two populations, a third of the genes unseen."""
    names, individuals = [f"g{number}" for number in range(genes)], [f"p{number}" for number in range(people)]
    populations = np.where(np.arange(people) % 2, "A", "B")
    split = np.where(np.arange(genes) < 2 * genes // 3, "train", "test")
    expression = rng.normal(size=(genes, 1)) * 2 + rng.normal(size=(genes, people))
    return Cohort(
        pd.DataFrame({"person": individuals, "population": populations, "split": "test"}),
        pd.DataFrame({"gene": names, "split": split}),
        expression,
    )


def naive(observed: np.ndarray, predicted: np.ndarray, settings: EvaluationSettings, rng: np.random.Generator) -> list[float]:
    """Correlation, interval over people and permutation p-value of one gene, a call of scipy for every draw."""
    people = len(observed)
    value = stats.spearmanr(observed, predicted).statistic
    draws = [rng.integers(0, people, people) for _ in range(settings.bootstraps)]
    resampled = [stats.spearmanr(observed[drawn], predicted[drawn]).statistic for drawn in draws]
    null = [stats.spearmanr(rng.permutation(observed), predicted).statistic for _ in range(settings.permutations)]
    p = (1 + np.sum(np.array(null) >= value)) / (1 + settings.permutations)
    return [value, *np.quantile(resampled, [0.025, 0.975]), p]


def main() -> None:
    """Measure, write the results and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genes", type=int, default=3000)
    parser.add_argument("--people", type=int, default=421)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000, help="bootstraps, and permutations")
    parser.add_argument("--sample", type=int, default=5, help="genes of the loop over scipy")
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    settings = EvaluationSettings(bootstraps=arguments.resamples, permutations=arguments.resamples)
    data = cohort(arguments.genes, arguments.people, rng)
    noise = rng.normal(size=(arguments.models, *data.expression.shape))
    models = [Model(f"model{i}", ("",), np.round(0.3 * data.expression + part, 6)[None]) for i, part in enumerate(noise)]

    wall, cpu = time.perf_counter(), time.process_time()
    scorer = Scorer(data, models, settings, 1)
    rows = {name: len(getattr(scorer, name)()) for name in ("per_gene", "per_person", "summary", "comparisons")}
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    observed, predicted = data.expression[: arguments.sample], models[0].predicted[0, : arguments.sample]
    cpu = time.process_time()
    theirs = np.array(
        [naive(x, y, settings, generator(1, number)) for number, (x, y) in enumerate(zip(observed, predicted, strict=True))]
    )
    loop = (time.process_time() - cpu) / arguments.sample
    cpu = time.process_time()
    several = min(100, arguments.genes)
    ours = across_people.score(data.expression[:several], models[0].predicted[:, :several], scorer.orders, settings, 1)
    vectorised = (time.process_time() - cpu) / several
    bounds = np.stack([ours.low, ours.high], axis=-1)[0, : arguments.sample]

    result = {
        "benchmark": "evaluation",
        "genes": arguments.genes,
        "people": arguments.people,
        "models": arguments.models,
        "bootstraps": settings.bootstraps,
        "permutations": settings.permutations,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_mib": round(peak),
        "rows": rows,
        "scipy_loop_genes": arguments.sample,
        "scipy_loop_cpu_seconds_per_gene": round(loop, 4),
        "gta_cpu_seconds_per_gene": round(vectorised, 4),
        "ratio_to_scipy_loop": round(loop / vectorised, 1),
        "largest_difference_of_correlations": float(np.abs(theirs[:, 0] - ours.spearman[0, : arguments.sample]).max()),
        "largest_difference_of_interval_bounds": round(float(np.abs(theirs[:, 1:3] - bounds).max()), 4),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
