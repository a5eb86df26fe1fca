"""The charts: what they show, that they never fail, and that the same results give the same bytes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import matplotlib
import pytest

from thinnet.study._report.figures import Picture, draw_figures, draw_panels

from .example_results import example_pictures, example_results

NAMES = ["curves", "rates", "widths", "scores"]


def words_of(*svgs: bytes | str) -> list[str]:
    """Return the words of charts or panels, which are text in the SVG and not outlines."""
    elements = [element for svg in svgs for element in ElementTree.fromstring(svg).iter()]
    texts = [element for element in elements if element.tag.rpartition("}")[2] == "text"]
    return ["".join(text.itertext()).strip() for text in texts]


def constant(value: float, epochs: int = 20) -> list[list[float]]:
    return [[value] * epochs] * 3


@pytest.fixture
def pictures() -> dict[str, Picture]:
    return example_pictures()


def test_there_are_four_charts_as_svg_and_png(pictures: dict[str, Picture]) -> None:
    assert list(pictures) == NAMES
    assert [len(picture.panels) for picture in pictures.values()] == [2, 1, 1, 2]
    for picture in pictures.values():
        assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
        assert ElementTree.fromstring(picture.svg).tag.endswith("svg")


def test_charts_say_what_they_show(pictures: dict[str, Picture]) -> None:
    assert {"without dropout", "with dropout", "epoch", "loss", "error"} <= set(
        words_of(pictures["curves"].svg)
    )
    assert {"hidden rate", "recommended rate 0.45", "trial", "pruned"} <= set(words_of(pictures["rates"].svg))
    assert {"chosen 256", "16", "256"} <= set(words_of(pictures["widths"].svg))
    assert {"95 % interval", "seeds alone", "each seed"} <= set(words_of(pictures["scores"].svg))


def test_the_same_results_give_the_same_bytes_whatever_the_user_has_set(
    pictures: dict[str, Picture],
) -> None:
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path"}):
        assert draw_figures(example_results()) == pictures
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_the_gap_is_that_between_training_and_validation_at_the_end() -> None:
    results = example_results()
    results["curves"]["grown"]["train_loss"] = constant(0.1)
    results["curves"]["grown"]["validation_loss"] = constant(0.35)
    results["curves"]["dropout"]["train_score"] = constant(0.01)
    results["curves"]["dropout"]["validation_score"] = constant(0.03)
    panels = draw_panels("curves", results)
    assert {"gap 0.25", "gap 2.0 points"} <= set(words_of(*panels))
    assert "validation loss ends at 0.25" in panels[0]


def test_a_loss_that_explodes_does_not_flatten_the_other_panel() -> None:
    results = example_results()
    results["curves"]["grown"]["validation_loss"] = [[0.3 + (step / 8) ** 2 for step in range(60)]] * 3
    words = words_of(*draw_panels("curves", results))
    assert {"0.1", "10"} <= set(words), "a logarithmic axis has ticks for both"


def test_trials_without_a_score_are_left_out_and_bad_ones_leave_the_axis() -> None:
    results = example_results(trials=12)
    results["trials"]["dropout"][0]["validation_score"] = 0.9
    (panel,) = draw_panels("rates", results)
    assert "9 rates and 11 trials" in panel, "one of the twelve is NaN"
    assert "off scale" in words_of(panel)
    assert "90 %" not in words_of(panel)


@pytest.mark.parametrize(("score", "drawn"), [(0.0278, True), (0.4, False)])
def test_boosted_trees_are_drawn_unless_they_flatten_the_rest(score: float, drawn: bool) -> None:
    results = example_results()
    results["boosting"]["score"] = score
    assert any("boosted trees" in word for word in words_of(*draw_panels("scores", results))) is drawn


def test_rates_are_only_called_recommended_when_dropout_is() -> None:
    words = words_of(*draw_panels("rates", example_results(verdict="dropout hurts")))
    assert "best rate 0.45" in words


def bare(results: dict[str, Any]) -> None:
    results["sweep"], results["trials"]["dropout"], results["boosting"] = [], [], None
    results["curves"] = {"grown": {"train_loss": []}, "dropout": None, "baseline": {}}


def diverged(results: dict[str, Any]) -> None:
    results["curves"]["grown"]["validation_loss"] = [[0.3, None, float("inf")]] * 3
    results["curves"]["dropout"]["validation_score"] = [[float("nan")] * 4]


def undecided(results: dict[str, Any]) -> None:
    results["difference"] |= {"mean": 0.0, "low": None, "high": None, "seeds_only": None}
    results["dropout"] |= {"scores": [None, 0.02], "mean": None}
    results["dropout"]["settings"]["hidden_rate"] = None


def equal(results: dict[str, Any]) -> None:
    results["dropout"] |= {"scores": [0.0, 0.0], "mean": 0.0}
    results["baseline"] |= {"scores": [0.0, 0.0], "mean": 0.0}
    results["grow"]["widths"] = [{"width": 256, "train": [0.0], "validation": [0.0]}]


@pytest.mark.parametrize("change", [bare, diverged, undecided, equal])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_sparse_results_are_drawn_all_the_same(change: Any, task: str) -> None:
    results = example_results(task)
    change(results)
    for name in NAMES:
        assert not any("nan" in word for word in words_of(*draw_panels(name, results)))


@pytest.mark.parametrize("size", [{"epochs": 1, "folds": 1}, {"seeds": 1, "trials": 0}, {"epochs": 2}])
def test_the_smallest_studies_are_drawn(size: dict[str, int]) -> None:
    panels = {name: draw_panels(name, example_results(**size)) for name in NAMES}
    assert any(word.startswith("gap ") for word in words_of(*panels["curves"]))


def test_long_curves_stay_small() -> None:
    results = example_results(epochs=5000)
    assert sum(len(panel) for name in NAMES for panel in draw_panels(name, results)) < 300_000


def test_panels_can_stand_on_one_page(pictures: dict[str, Picture]) -> None:
    page = "".join(panel for picture in pictures.values() for panel in picture.panels)
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page))
    assert used
    assert {one or other for one, other in used} <= set(names)
    assert "<style" not in page, "it would style the page, not the chart"
    assert "http" not in page
    assert page.count('role="img"') == page.count('aria-label="') == 6
