"""What EXPLAIN ANALYZE counts while a statement runs."""

from dataclasses import dataclass, field


@dataclass
class Trace:
    """What EXPLAIN ANALYZE shows: nanoseconds by phase, and a line for each segment searched."""

    phases: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mask_hits: int = 0
    mask_misses: int = 0
    pruned: int = 0
    distances: int = 0

    def add(self, phase: str, nanoseconds: int) -> None:
        self.phases[phase] = self.phases.get(phase, 0) + nanoseconds
