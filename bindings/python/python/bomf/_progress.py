"""A progress bar on stderr, or whatever the caller has in its place."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Union

#: ``progress(kind, phase, number, text)``: ``kind`` is ``"begin"`` (``number``: about how much),
#: ``"advance"`` (how much is done; ``text``: how it stands), ``"end"`` or ``"note"``.
Listener = Callable[[str, str, int, str], None]

#: Whether a bar is drawn (where stderr is a terminal or a notebook, without), or what is called.
Progress = Union[bool, Listener, None]

_WIDTH = 28

#: The bar is drawn anew so often, in seconds: more is not seen.
_INTERVAL = 0.1


class Bar:
    """Draws what it is told; without a terminal only notes are told, as warnings."""

    def __init__(self, progress: Progress = None) -> None:
        self._listener: Listener | None = progress if callable(progress) else None
        notebook = "ipykernel" in sys.modules
        self._drawn = self._listener is None and (
            progress is True or (progress is None and (notebook or _is_terminal()))
        )
        self._total = 0
        self._began = time.monotonic()
        self._last = 0.0
        self._length = 0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()

    def __call__(self, kind: str, phase: str, number: int, text: str) -> None:
        if self._listener is not None:
            self._listener(kind, phase, number, text)
            return
        if kind == "note":
            self._finish()
            warnings.warn(text, UserWarning, stacklevel=3)
        if not self._drawn:
            return
        if kind == "begin":
            # The same phase may correct its total.
            self._total = number
            if self._length == 0:
                self._began = time.monotonic()
        elif kind == "advance":
            now = time.monotonic()
            if now - self._last >= _INTERVAL or number >= self._total:
                self._last = now
                self._draw(phase, number, text)
        elif kind == "end":
            self._finish()

    def _draw(self, phase: str, done: int, text: str) -> None:
        share = min(done / self._total, 1.0) if self._total else 0.0
        filled = int(share * _WIDTH)
        seconds = time.monotonic() - self._began
        line = f"{phase:<9} |{'█' * filled}{' ' * (_WIDTH - filled)}| {share:4.0%} {seconds:6.1f} s"
        if text:
            line += f"  {text}"
        padding = " " * max(self._length - len(line), 0)
        sys.stderr.write(f"\r{line}{padding}")
        sys.stderr.flush()
        self._length = len(line)

    def _finish(self) -> None:
        if self._length:
            sys.stderr.write("\n")
            sys.stderr.flush()
            self._length = 0


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False
