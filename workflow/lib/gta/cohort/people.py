"""Which people are in the cohort, and their split."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from gta.cohort.settings import CohortSettings
from gta.errors import UserError
from gta.inputs.names import nearest


def check_names(names: Sequence[str], known: Sequence[str], key: str, what: str) -> None:
    """Refuse a name that is not in the inputs.

    Raises:
        UserError: naming the key of the settings, the name and the nearest known one.
    """
    unknown = [name for name in names if name not in set(known)]
    if unknown:
        raise UserError(f"{key}: {unknown[0]!r} is no {what} of the inputs; {nearest(unknown[0], known)}")


def choose_people(
    people: Sequence[str], with_expression: Sequence[str], settings: CohortSettings
) -> tuple[list[str], dict[str, str]]:
    """The people of the cohort: those with genotypes and expression, less those that the settings leave out.

    Args:
        people: Everybody in the VCF, in its order; in a reference study, everybody in the expression matrix.
        with_expression: Everybody in the expression matrix.
        settings: The cohort's settings.

    Returns:
        The people in the order of the VCF; and person -> reason of everybody else.

    Raises:
        UserError: for an unknown name in the settings, or if nobody is left.
    """
    everybody = list(dict.fromkeys([*people, *with_expression]))
    for key in ("include_people", "exclude_people"):
        check_names(getattr(settings, key), everybody, key, "person")
    genotyped, expressed = set(people), set(with_expression)
    included, excluded = set(settings.include_people), set(settings.exclude_people)
    dropped = {}
    for person in everybody:
        if person not in genotyped:
            dropped[person] = "no genotypes"
        elif person not in expressed:
            dropped[person] = "no expression"
        elif person in excluded:
            dropped[person] = "named in exclude_people"
        elif included and person not in included:
            dropped[person] = "not named in include_people"
    chosen = [person for person in people if person not in dropped]
    if not chosen:
        raise UserError(
            "No person is left in the cohort: check include_people and exclude_people, and that genotypes and expression have"
            " people in common."
        )
    return chosen, dropped


def all_training(individuals: Sequence[str], settings: CohortSettings, log: Callable[[str], None]) -> pd.Series:
    """Put all individuals of a reference study into the split train: only their mean expression is predicted.

    Args:
        individuals: Their names.
        settings: The cohort's settings; those about the split of individuals do not apply.
        log: Takes a line of progress.

    Returns:
        Split of each individual.
    """
    ignored = ["valid_people", "test_people", *(["held_out_population"] if settings.held_out_population is not None else [])]
    log(
        f"individuals: {len(individuals)}, all of them used for mean expression; there are no genotypes, so that individuals are"
        f" not compared and not split ({', '.join(ignored)} do not apply)"
    )
    return pd.Series("train", index=pd.Index(individuals), dtype=object)


def apportion(total: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Share out a total in proportion to sizes, in whole numbers (method of the largest remainder; ties in the given order).

    Args:
        total: What is shared out, at most the sum of the sizes.
        sizes: name -> size.
    """
    whole = max(1, sum(sizes.values()))
    shares = {name: total * size // whole for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: -(total * sizes[name] % whole))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def split_people(populations: pd.Series, settings: CohortSettings, seed: int, log: Callable[[str], None]) -> pd.Series:
    """Split people at random into train, valid and test, in the same proportions within each population.

    Args:
        populations: Population of each person; the index names the people.
        settings: `valid_people` and `test_people` are fractions of all; with `held_out_population`, the test people are those
            of this population, and `valid_people` is a fraction of the others.
        seed: Seed of the draw.
        log: Takes a line of progress.

    Returns:
        Split of each person, in the order of `populations`.

    Raises:
        UserError: if a split would be empty, or nobody is of the population that is to be held out.
    """
    n = len(populations)
    if settings.held_out_population is None:
        n_test, n_valid = round(n * settings.test_people), round(n * settings.valid_people)
    else:
        check_names([settings.held_out_population], sorted(set(populations)), "held_out_population", "population")
        n_test = int((populations == settings.held_out_population).sum())
        n_valid = round((n - n_test) * settings.valid_people)
    if min(n_test, n_valid) < 1 or n - n_test - n_valid < 2:
        raise UserError(
            f"{n} people split into {n - n_test - n_valid} for training, {n_valid} for validation and {n_test} for test, where 2,"
            " 1 and 1 are the least: change valid_people, test_people or held_out_population, or add people."
        )
    generator = np.random.default_rng([seed, 1])
    left = {
        population: [str(person) for person in generator.permutation(np.sort(members.index.to_numpy(dtype=object)))]
        for population, members in populations.groupby(populations)
    }
    split = pd.Series("train", index=populations.index, dtype=object)
    for name, total in (("test", n_test), ("valid", n_valid)):
        sizes = {population: len(members) for population, members in left.items()}
        if name == "test" and settings.held_out_population is not None:
            shares = {settings.held_out_population: total}
        else:
            shares = apportion(total, sizes)
        for population, share in shares.items():
            split[left[population][:share]] = name
            left[population] = left[population][share:]
    log(f"people: {n - n_test - n_valid} train, {n_valid} valid, {n_test} test, in {len(left)} populations")
    return split
