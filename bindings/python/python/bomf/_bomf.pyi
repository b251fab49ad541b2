"""The extension module; see the package's own functions."""

from collections.abc import Callable, Sequence
from typing import Any, final

__all__ = [
    "Fusion",
    "Keeper",
    "Search",
    "__version__",
    "diff",
    "eval",
    "finetune",
    "front_svg",
    "fuse_run",
    "hypervolume",
    "hypervolume_contributions",
    "infer_reference_point",
    "knee",
    "list_checkpoints",
    "lora_extract",
    "lora_fuse",
    "merge",
    "methods",
    "non_dominated",
    "non_dominated_sort",
    "pick",
    "report",
    "run",
    "search_mixtures",
    "tune",
    "verdict",
    "verify",
]

__version__: str

_Progress = Callable[[str, str, int, str], None] | None

@final
class Search:
    def __new__(
        cls,
        space: str,
        directions: list[str],
        seed: int,
        ref_point: list[float] | None = None,
        n_initial: int | None = None,
        constraints: list[float] = ...,
        cost_budget: float | None = None,
    ) -> Search: ...
    def ask(self, q: int) -> str: ...
    def tell(
        self,
        point: str,
        y: list[float] | None = None,
        std_errors: list[float] = ...,
        constraints: list[float] = ...,
        cost: float | None = None,
    ) -> None: ...
    def check(self, point: str) -> None: ...
    def best(self) -> list[int]: ...
    def told(self) -> int: ...
    def ref_point(self) -> list[float] | None: ...
    def hypervolume_history(self) -> list[float] | None: ...
    def expected_gain(self) -> float | None: ...
    def recent_gain(self, evaluations: int) -> float | None: ...
    def dump(self) -> str: ...
    @staticmethod
    def restore(text: str) -> Search: ...

@final
class Fusion:
    def __new__(cls, recipe: str, seed: int, models: list[Any], names: list[str]) -> Fusion: ...
    def outputs(self) -> tuple[list[tuple[str, str, list[int]]], list[str]]: ...
    def run(
        self,
        arrays: list[Any],
        threads: int = 0,
        max_memory: int | None = None,
        progress: _Progress = None,
    ) -> list[tuple[str, int]]: ...

@final
class Keeper:
    def __new__(cls, wanted: int, window: list[float], spacing: int) -> Keeper: ...
    def wants(self, step: int) -> bool: ...
    def keep(self, step: int) -> list[int]: ...
    def keep_best(self, step: int) -> list[int]: ...
    def best(self) -> int | None: ...
    def held(self) -> list[int]: ...
    def choose(self, last: int) -> list[int]: ...

def search_mixtures(
    members: int,
    objectives: list[tuple[str, str]],
    chosen: int,
    recipe: str,
    journal: str,
    measure: Callable[[list[float]], Any],
    progress: _Progress = None,
    by_weights: bool = False,
    objective_weights: list[float] | None = None,
    ref_point: list[float] | None = None,
) -> str: ...
def hypervolume(
    points: list[list[float]], ref_point: list[float], directions: list[str]
) -> float: ...
def hypervolume_contributions(
    points: list[list[float]], ref_point: list[float], directions: list[str]
) -> list[float]: ...
def non_dominated(points: list[list[float]], directions: list[str]) -> list[int]: ...
def non_dominated_sort(points: list[list[float]], directions: list[str]) -> list[list[int]]: ...
def knee(points: list[list[float]], directions: list[str]) -> int | None: ...
def infer_reference_point(points: list[list[float]], directions: list[str]) -> list[float]: ...
def run(
    source: tuple[Any, ...],
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: _Progress = None,
) -> str: ...
def tune(
    source: tuple[Any, ...],
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: _Progress = None,
) -> str: ...
def finetune(
    source: tuple[Any, ...],
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: _Progress = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
) -> str: ...
def fuse_run(
    members: list[str],
    data: str | None,
    out: str,
    recipe_text: str | None = None,
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: _Progress = None,
) -> str: ...
def eval(
    model: str,
    data: str,
    split: str,
    recipe_text: str | None = None,
    predictions: str | None = None,
    threads: int = 0,
    progress: _Progress = None,
) -> str: ...
def pick(
    run: str,
    target: str,
    point: int | None = None,
    method: str | None = None,
    threads: int = 0,
) -> str: ...
def merge(
    recipe: str,
    out: str,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    hash: bool = True,
    max_memory: int | None = None,
    max_shard_bytes: int | None = None,
    digest_cache: str | None = None,
    progress: _Progress = None,
) -> str: ...
def verify(
    folder: str,
    root: str | None = None,
    threads: int = 0,
    max_memory: int | None = None,
    progress: _Progress = None,
) -> str: ...
def diff(a: str, b: str, threads: int = 0, progress: _Progress = None) -> str: ...
def methods() -> str: ...
def lora_fuse(
    adapters: Sequence[str],
    out: str,
    weights: list[float] | None = None,
    into: str | None = None,
    rank: int | None = None,
    energy: float | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: _Progress = None,
) -> str: ...
def lora_extract(
    base: str,
    model: str,
    r: int,
    out: str,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    progress: _Progress = None,
) -> str: ...
def list_checkpoints(folder: str) -> list[tuple[int | None, str]]: ...
def report(text: str) -> str: ...
def front_svg(text: str) -> str | None: ...
def verdict(text: str) -> str: ...
