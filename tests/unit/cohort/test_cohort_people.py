"""Choice and split of people."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gta.cohort.people import apportion, choose_people, split_people
from gta.cohort.settings import CohortSettings
from gta.errors import UserError


def silent(line: str) -> None:
    pass


def populations(**sizes: int) -> pd.Series:
    return pd.Series({f"{name}{number}": name for name, n in sizes.items() for number in range(n)})


def test_apportion_by_hand():
    # Shares 2.5, 1.5 and 1.0 of 5: whole parts 2, 1, 1; the one left goes to the first of the equal remainders.
    assert apportion(5, {"a": 5, "b": 3, "c": 2}) == {"a": 3, "b": 1, "c": 1}


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.floats(0, 1))
def test_apportion_shares_out_everything_and_no_more_than_there_is(given_sizes, fraction):
    sizes = {str(number): size for number, size in enumerate(given_sizes)}
    total = round(fraction * sum(sizes.values()))
    shares = apportion(total, sizes)
    assert sum(shares.values()) == total
    whole = max(1, sum(sizes.values()))
    assert all(0 <= shares[name] <= size and abs(shares[name] - total * size / whole) < 1 for name, size in sizes.items())


def test_every_population_is_split_in_the_same_proportions():
    people = populations(GBR=40, YRI=20, CEU=20)
    split = split_people(people, CohortSettings(valid_people=0.1, test_people=0.25), 1, silent)
    counts = pd.crosstab(people, split)
    assert counts.loc["GBR"].to_dict() == {"test": 10, "train": 26, "valid": 4}
    assert counts.loc["YRI"].to_dict() == counts.loc["CEU"].to_dict() == {"test": 5, "train": 13, "valid": 2}


def test_the_split_depends_on_the_seed_but_not_on_the_order_of_people():
    people = populations(GBR=30, YRI=30)
    one = split_people(people, CohortSettings(), 1, silent)
    assert one.equals(split_people(people, CohortSettings(), 1, silent))
    backwards = split_people(people[::-1], CohortSettings(), 1, silent)
    assert backwards[people.index].equals(one)
    assert not split_people(people, CohortSettings(), 2, silent).equals(one)


def test_a_population_that_is_held_out_is_the_test_split_and_nobody_else_is():
    people = populations(GBR=40, YRI=20, CEU=20)
    split = split_people(people, CohortSettings(held_out_population="YRI", valid_people=0.1), 1, silent)
    counts = pd.crosstab(people, split)
    assert counts.loc["YRI"].to_dict() == {"test": 20, "train": 0, "valid": 0}
    assert counts.loc["GBR"].to_dict() == {"test": 0, "train": 36, "valid": 4}
    assert counts.loc["CEU"].to_dict() == {"test": 0, "train": 18, "valid": 2}


def test_a_population_that_is_held_out_has_to_exist_and_to_leave_others():
    with pytest.raises(UserError, match="held_out_population: 'YRY' is no population of the inputs; did you mean 'YRI'"):
        split_people(populations(GBR=40, YRI=20), CohortSettings(held_out_population="YRY"), 1, silent)
    with pytest.raises(UserError, match="60 people split into 0 for training"):
        split_people(populations(YRI=60), CohortSettings(held_out_population="YRI"), 1, silent)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_too_few_people(n):
    with pytest.raises(UserError, match=f"{n} people split into .* change valid_people, test_people or"):
        split_people(populations(GBR=n), CohortSettings(), 1, silent)


def test_everybody_who_is_left_out_has_a_reason():
    settings = CohortSettings(include_people=["A", "B", "D"], exclude_people=["B"])
    chosen, dropped = choose_people(["D", "C", "B", "A", "V"], ["A", "B", "C", "D", "X"], settings)
    assert chosen == ["D", "A"]
    assert dropped == {
        "C": "not named in include_people",
        "B": "named in exclude_people",
        "V": "no expression",
        "X": "no genotypes",
    }


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="exclude_people: 'HG0096' is no person of the inputs; did you mean 'HG00096'"):
        choose_people(["HG00096"], ["HG00096"], CohortSettings(exclude_people=["HG0096"]))
    with pytest.raises(UserError, match="No person is left"):
        choose_people(["HG00096"], ["HG00096"], CohortSettings(exclude_people=["HG00096"]))
