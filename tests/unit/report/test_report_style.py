"""The look of models, and figures whose bytes do not change."""

from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure

from gta.baselines.settings import TEXT_BASELINES
from gta.errors import UserError
from gta.report.style import SPLIT_STYLES, model_styles, save


def test_a_model_looks_the_same_in_all_company() -> None:
    alone, together = model_styles(["gta"]), model_styles(["ridge", "mine", "gta"])
    assert alone["gta"] == together["gta"]


def test_models_differ_in_colour_marker_and_line() -> None:
    styles = model_styles(["gta", "no_llm", "mine", "yours", "elastic_net", "ridge", "theirs", "ours"]).values()
    for look in ("colour", "marker", "line"):
        assert len({getattr(style, look) for style in styles}) == 8


def test_all_ablations_and_baselines_differ() -> None:
    """Every row of config/ablations.yaml in one figure with the baselines."""
    rows = yaml.safe_load((Path(__file__).resolve().parents[3] / "config" / "ablations.yaml").read_text())["models"]
    baselines = ["no_llm_and_prompt", *TEXT_BASELINES, "elastic_net", "top_eqtl", "ridge", "mean"]
    styles = model_styles([*rows, *baselines]).values()
    assert len({style.colour for style in styles}) == len({style.marker for style in styles}) == len(rows) + len(baselines)


def test_splits_differ_in_print() -> None:
    assert len({hatch for _, hatch in SPLIT_STYLES.values()}) == 3


def figure() -> Figure:
    drawn = Figure(figsize=(2, 2))
    axis = drawn.subplots()
    axis.plot([0, 1], [0, 1], marker="o", clip_on=True)
    axis.fill_between([0, 1], [1, 1], hatch="//")
    return drawn


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_the_same_figure_has_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("one", "two"):
        save(figure(), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.svg, \.png or \.pdf"):
        save(figure(), tmp_path / "figure.jpeg")
    assert list(tmp_path.iterdir()) == []
