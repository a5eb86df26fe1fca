"""The report: what it says, that it stands alone, and that a browser shows it."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from thinnet.errors import FileError
from thinnet.study._report.figures import Picture, draw_panels
from thinnet.study._report.page import render_report, write_report

from .example_results import HOSTILE, example_pictures, example_results

VERDICTS = ["dropout helps", "no evidence either way", "dropout hurts"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """The parts of a page that the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def page_of(results: dict[str, Any]) -> Page:
    return Page(render_report(results, example_pictures()))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_comes_first_and_nothing_claims_more(task: str, verdict: str) -> None:
    page = page_of(example_results(task, verdict=verdict))
    headings = [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    shown = page.words.partition("Settings to use")[0]
    assert verdict[0].upper() + verdict[1:] + "." in shown
    for other in set(VERDICTS) - {verdict}:
        assert other not in shown
    assert ("Yes:" in shown) is (verdict == "dropout helps")
    assert ("includes zero" in shown) is (verdict == "no evidence either way")


def test_both_scores_the_difference_and_the_interval_are_written() -> None:
    results = example_results()
    results["dropout"] |= {"scores": [0.01, 0.02], "mean": 0.015}
    results["baseline"] |= {"scores": [0.02, 0.03], "mean": 0.025}
    results["difference"] |= {"mean": -0.01, "low": -0.0182, "high": -0.0018}
    words = page_of(results).words
    assert "Test error 1.50 % with dropout, 2.50 % without: mean of 2 seeds on 360 test rows." in words
    assert "Boosted trees reach 2.78 %." in words
    assert "−1.00 points" in words
    assert "95 % interval −1.82 to −0.18 points" in words


def test_regression_scores_are_in_the_unit_of_the_target() -> None:
    results = example_results("regression")
    results["dropout"]["mean"], results["baseline"]["mean"] = 28854.4, 37622.2
    words = page_of(results).words
    assert "Test RMSE 28,854 with dropout, 37,622 without" in words
    assert "in the unit of price" in words
    assert "points" not in words.partition("Settings to use")[0]


def test_the_site_of_least_validation_loss_is_a_hint() -> None:
    results = example_results()
    assert "Lowest validation loss: dropout on the hidden layers only." in page_of(results).words
    results["where"] = results["where"][:1]
    assert "This run did not compare where dropout acts." in page_of(results).words


def test_the_page_asks_for_no_other_file() -> None:
    text = render_report(example_results(), example_pictures())
    addresses = [
        value or ""
        for _, attributes in Page(text).tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "xlink:href")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert len(text.encode()) < 400_000


def test_the_same_results_give_the_same_files(tmp_path: Path) -> None:
    write_report(example_results(), tmp_path / "made")
    written = {str(path.relative_to(tmp_path / "made")): path for path in (tmp_path / "made").rglob("*.*")}
    expected = {"report.html": render_report(example_results(), example_pictures()).encode()}
    for name, picture in example_pictures().items():
        expected |= {f"figures/{name}.svg": picture.svg, f"figures/{name}.png": picture.png}
    assert len(expected) == 9
    assert {name: path.read_bytes() for name, path in written.items()} == expected
    for name in written:
        if name.endswith(".svg"):
            assert ElementTree.parse(written[name]).getroot().tag.endswith("svg")


def test_words_of_the_user_are_never_markup(tmp_path: Path) -> None:
    results = example_results()
    results["data"] |= {"name": f"{HOSTILE}.csv", "target": HOSTILE, "group": HOSTILE}
    results["classes"] = [HOSTILE, "$x$", "\udcff"]
    results["code"] = f"</code></pre>{HOSTILE}"
    results["sentence"] = results["grow"]["reason"] = results["recommended"]["why"] = HOSTILE
    results["options"] = {HOSTILE: HOSTILE}
    write_report(results, tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.words.count(HOSTILE) >= 9


def test_many_columns_that_were_treated_alike_share_a_line(tmp_path: Path) -> None:
    results = example_results()
    results["preparation"] = [
        {
            "column": f"pixel{i}",
            "kind": "number",
            "treatment": "scaled" if i % 4 else "constant",
            "features": min(1, i % 4),
        }
        for i in range(784)
    ]
    page = render_report(results, example_pictures())
    words = Page(page).words
    assert "pixel1, pixel2, pixel3 and 585 more" in words
    assert "pixel0, pixel4, pixel8 and 193 more" in words
    assert len(page) < 400_000


def test_trials_are_sorted_complete_and_best_first_pruned_last() -> None:
    results = example_results()
    losses = {3: 0.2, 1: 0.1, 2: None, 0: 0.3, 4: 0.05}
    results["trials"]["dropout"] = [
        {"number": n, "validation_loss": loss, "validation_score": 0.1}
        | {"state": "pruned" if n == 4 else "complete", "settings": {"seen": f"trial{n}"}}
        for n, loss in losses.items()
    ]
    results["trials"]["baseline"] = []
    words = page_of(results).words
    assert re.findall(r"trial\d", words) == ["trial1", "trial3", "trial0", "trial2", "trial4"]
    assert "No dropout: 0 trials, 0 pruned" in words


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_smallest_study_is_reported(task: str) -> None:
    results = example_results(task, epochs=1, folds=1, seeds=1, trials=0)
    results |= {"where": [], "sweep": [], "boosting": None, "classes": [], "preparation": []}
    results["difference"] = {
        "mean": -0.01,
        "low": None,
        "high": None,
        "seeds_only": {"low": None, "high": None},
    }
    results["grow"]["reached"] = False
    pictures = {name: Picture(b"", b"", draw_panels(name, results)) for name in example_pictures()}
    words = Page(render_report(results, pictures)).words
    assert "There is no interval to judge it by." in words
    assert "95 % interval unknown" in words
    assert "which no width tried did" in words
    assert "nan" not in words


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FileError, match=r"run.figures: the folder cannot be created: .*file"):
        write_report(example_results(), tmp_path / "run")


# --- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a report of each task and return their addresses."""
    folder = tmp_path_factory.mktemp("reports")
    for task in ("classification", "regression"):
        write_report(example_results(task), folder / task)
    return {task: (folder / task / "report.html").as_uri() for task in ("classification", "regression")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_browser_shows_the_report(
    browser: Any, reports: dict[str, str], task: str, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(reports[task])

    assert page.locator("h1").inner_text() == "Dropout helps."
    assert page.locator("h1").is_visible()
    assert page.get_by_text(HOSTILE).is_visible()
    charts = page.locator("svg")
    assert charts.count() == 6
    for chart in charts.all():
        box = chart.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 150
        assert chart.locator("path").count() > 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out at the side"
    assert _words_outside_their_chart(page) == []
    page.locator("#copy").click()
    page.get_by_role("button", name=re.compile("Copied|Selected")).wait_for()
    assert complaints == []
    assert requests == [reports[task]]
    page.close()


def _words_outside_their_chart(page: Any) -> list[str]:
    return page.evaluate(
        """() => [...document.querySelectorAll("svg text")].filter(text => {
            const word = text.getBoundingClientRect(), chart = text.closest("svg").getBoundingClientRect();
            return word.left < chart.left - 1 || word.right > chart.right + 1
                || word.top < chart.top - 1 || word.bottom > chart.bottom + 1;
        }).map(text => text.textContent)"""
    )


def test_no_two_words_of_a_chart_overlap(browser: Any, reports: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(reports["regression"])
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll("svg")].flatMap(chart => {
            const texts = [...chart.querySelectorAll("text")];
            const words = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
            return words.flatMap(([a, p], i) => words.slice(i + 1).filter(([b, q]) =>
                p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 2 && q.top < p.bottom - 2
            ).map(([b]) => a + " / " + b));
        })"""
    )
    assert overlaps == []
    page.close()
