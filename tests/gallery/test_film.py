from __future__ import annotations

import base64
import io
import re

import pytest

from thinnet.gallery import _film as film

Image = pytest.importorskip("PIL.Image", reason="Pillow, which matplotlib brings along, is not installed")
FRAMES = [Image.new("RGB", (40, 20), (80 * i, 10, 200)) for i in range(3)]


def test_a_gif_moves() -> None:
    with Image.open(io.BytesIO(film.gif(FRAMES))) as moving:
        assert (moving.n_frames, moving.size, moving.info["loop"]) == (3, (40, 20), 0)


def test_a_page_carries_its_frames_and_asks_for_nothing() -> None:
    page = film.page("a <curve>", FRAMES).decode()
    assert "<title>a &lt;curve&gt;</title>" in page
    assert 'max="2"' in page
    assert not re.search(r"https?:|//cdn|<link|src=\"(?!data:)", page)
    coded = re.search(r"const frames = \['([^']+)', '([^']+)'", page)
    assert coded is not None
    with Image.open(io.BytesIO(base64.b64decode(coded[2]))) as second:
        assert second.convert("RGB").getpixel((0, 0)) == (80, 10, 200)
