"""Animations: a GIF, and a page with a slider that needs no connection."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

__all__ = ["gif", "page"]

_PAUSE = 80  # between two frames, in milliseconds
_COLOURS = 64

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ max-width: 60rem; margin: 1rem auto; padding: 0 1rem; font: 1rem system-ui, sans-serif; }}
  img {{ width: 100%; }}
  form {{ display: flex; gap: 1rem; align-items: center; }}
  input {{ flex: 1; }}
  button {{ min-width: 5rem; padding: .4rem; font: inherit; }}
</style>
<img id="frame" alt="{title}" src="data:image/png;base64,{first}">
<form onsubmit="return false">
  <button id="play" type="button">Stop</button>
  <input id="at" type="range" min="0" max="{last}" value="0" aria-label="frame">
</form>
<script>
  const frames = {frames};
  const [image, slider, button] = ["frame", "at", "play"].map(id => document.getElementById(id));
  const show = () => {{ image.src = "data:image/png;base64," + frames[slider.value]; }};
  const next = () => {{ slider.value = (+slider.value + 1) % frames.length; show(); }};
  let timer = null;
  const play = on => {{
    clearInterval(timer);
    timer = on ? setInterval(next, {pause}) : null;
    button.textContent = on ? "Stop" : "Play";
  }};
  button.onclick = () => play(timer === null);
  slider.oninput = () => {{ play(false); show(); }};
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
</script>
</html>
"""


def gif(frames: Sequence[Any]) -> bytes:
    """Return Pillow images as an animation that repeats."""
    first, *others = [frame.quantize(_COLOURS) for frame in frames]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=_PAUSE, loop=0)
    return file.getvalue()


def page(title: str, frames: Sequence[Any]) -> bytes:
    """Return Pillow images as a page with a slider and a button."""
    coded: list[str] = []
    for frame in frames:
        file = io.BytesIO()
        frame.quantize(_COLOURS).save(file, "PNG", optimize=True)
        coded.append(base64.b64encode(file.getvalue()).decode())
    fields: dict[str, Any] = {"title": html.escape(title), "first": coded[0], "last": len(coded) - 1}
    return _PAGE.format(**fields, frames=coded, pause=_PAUSE).encode()
