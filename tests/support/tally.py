"""The table of the faults: how many of each kind, and what came of them."""

from dataclasses import dataclass

from tests.support.invariants import Findings


@dataclass
class Line:
    """One kind of fault on one kind of database."""

    faults: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    differences: int = 0


class Tally:
    """Counts what the tests inject and find."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], Line] = {}

    def add(self, fault: str, database: str, times: int, findings: Findings) -> None:
        """Note *times* faults, and what was found after them."""
        line = self._lines.setdefault((fault, database), Line())
        line.faults += times
        line.acknowledged += findings.acknowledged
        line.lost += len(findings.lost)
        line.doubled += len(findings.doubled)
        line.stuck += len(findings.stuck)
        line.differences += len(findings.differences)

    def table(self) -> list[str]:
        """Return the table as Markdown, a line an item; none without a fault."""
        if not self._lines:
            return []
        rows = [
            f"| {fault} | {database} | {_cells(line)} |"
            for (fault, database), line in sorted(self._lines.items())
        ]
        total = Line(
            *(
                sum(getattr(line, name) for line in self._lines.values())
                for name in Line.__dataclass_fields__
            )
        )
        return [
            "| fault | database | faults | acknowledged objects | lost | doubled | stuck"
            " | worklist differences |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            f"| **all** | | {_cells(total)} |",
        ]


def _cells(line: Line) -> str:
    return " | ".join(str(getattr(line, name)) for name in Line.__dataclass_fields__)
