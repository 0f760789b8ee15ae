"""How large everything is that is measured, and for how long."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Jobs are running ones; intervals and durations are in seconds.

    jobs is the working point, rows the whole of slurmacct's job table, pending the share of jobs that wait beside each
    one that runs. The curve has a refresh's cost at each of its sizes, the last of which is asked the questions.
    load_on is the part whose service is put under load.
    """

    jobs: int = 20_000
    rows: int = 5_000_000
    pending: float = 2.0
    curve: tuple[int, ...] = (1_000, 5_000, 20_000, 100_000)
    interval: float = 10.0
    refreshes: int = 3
    load_refreshes: int = 10
    load_most: float = 180.0
    load_on: str = "real"
    flat_jobs: int = 2_000
    flat_refreshes: int = 200
    flat_interval: float = 0.5
    seconds: float = 3.0
    repeats: int = 5

    @property
    def open_rows(self) -> int:
        """Rows of the job table that have not ended."""
        return int(self.jobs * (1 + self.pending))


DEFAULT = Sizes()
# All that is measured, in less than a minute: what it finds says nothing but that it can be measured.
QUICK = Sizes(
    jobs=300, rows=20_000, curve=(100, 300), interval=0.5, refreshes=2, load_refreshes=3, load_most=10.0, flat_jobs=100,
    flat_refreshes=8, flat_interval=0.1, seconds=0.2, repeats=1,
)  # fmt: skip
