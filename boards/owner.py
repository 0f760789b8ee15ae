"""What the boards of an account and of a user have in common."""

from boards.frame import Row
from boards.promql import added, known_zero, now, total, wasted_hours
from boards.style import ACCENT, ALLOCATED, WASTED, Line, Panel, graph, single


def state(kind: str, *of: str) -> Row:
    """Show what runs of an owner; `kind` begins the families, `of` selects the owner."""
    every_job = total(now(f"{kind}_jobs", *of))

    def jobs(title: str, what: str, state: str) -> Panel:
        return single(title, what, known_zero(total(now(f"{kind}_jobs", *of, state=state)), every_job))

    return Row(
        "Now",
        [
            jobs("Running jobs", "Array tasks are counted.", "running"),
            jobs("Pending jobs", "Array tasks that wait are counted.", "pending"),
            single("CPUs allocated", "By running jobs.", total(now(f"{kind}_allocated_cpus", *of))),
            single(
                "GPUs allocated",
                "By running jobs. Not known: no job holds any.",
                total(now(f"{kind}_allocated_gpus", *of)),
            ),
            single(
                "Findings on running jobs",
                "Rules of waste that hold. Not known: none holds, or no job is judged.",
                total(now(f"{kind}_waste_jobs", *of)),
                limits=(1, 10),
            ),
            single(
                "Power",
                "In the last closed window of the energy ledger, as far as it was measured.",
                total(now(f"{kind}_power_watts", *of)),
                "watt",
            ),
        ],
    )


def use(kind: str, *of: str) -> Row:
    """Draw what an owner holds, uses and wastes."""

    def amounts(title: str, what: str, resource: str, unit: str = "short") -> Panel:
        lines = (
            Line(word, total(now(f"{kind}_{word}_{resource}", *of)), colour)
            for word, colour in (("allocated", ALLOCATED), ("used", ACCENT), ("wasted", WASTED))
        )
        return graph(title, what, *lines, unit=unit)

    return Row(
        "What is allocated, used and wasted",
        [
            amounts("CPUs", "Used: busy now. Wasted: allocated and not busy. No line: not known.", "cpus"),
            amounts("GPUs", "Used: the sum of the utilisation. No line: not known, or no job holds any.", "gpus"),
            amounts(
                "Memory", "Wasted: above both the fair share and the peak. No line: not known.", "memory_bytes", "bytes"
            ),
            graph(
                "Jobs by state",
                "Open jobs; array tasks are counted.",
                Line("{{state}}", total(now(f"{kind}_jobs", *of), "state")),
                stacked=True,
            ),
        ],
    )


def spent(kind: str, *of: str) -> Row:
    """Add up what an owner has wasted and spent in the time shown."""
    return Row("In the time shown", [*_hours_wasted(kind, *of), *_energy(kind, *of), *_carbon_and_cost(kind, *of)])


def _hours_wasted(kind: str, *of: str) -> list[Panel]:
    seen = "As far as they were observed, in closed windows."
    return [
        single(
            "GPU-hours wasted", f"{seen} Not known: no job held GPUs.", total(wasted_hours(kind, "gpu", *of)), span=6
        ),
        single("CPU-hours wasted", seen, total(wasted_hours(kind, "cpu", *of)), span=6),
    ]


def _energy(kind: str, *of: str) -> list[Panel]:
    measured = "as far as it was measured."
    every, wasted = (
        f"{total(added(f'{kind}_{name}_joules_total', *of))} / 3.6e6" for name in ("energy", "wasted_energy")
    )
    return [
        single("Energy", f"Of the jobs, {measured}", every, "kwatth", span=6),
        single(
            "Energy of what was wasted",
            f"Of CPUs and GPUs that were held and not used, {measured}",
            wasted,
            "kwatth",
            span=6,
        ),
    ]


def _carbon_and_cost(kind: str, *of: str) -> list[Panel]:
    return [
        single(
            "CO2 equivalent in kg",
            "Of the jobs' energy.",
            f"{total(added(f'{kind}_co2_grams_total', *of))} / 1000",
            span=8,
        ),
        single(
            "Cost by currency",
            "Energy, cooling and hardware, by the configured prices; none without prices.",
            total(added(f"{kind}_cost_total", *of), "currency"),
            name="{{currency}}",
            span=8,
        ),
        single(
            "Cost of what was wasted by currency",
            "The part of the cost that was for CPUs and GPUs that were held and not used.",
            total(added(f"{kind}_wasted_cost_total", *of), "currency"),
            name="{{currency}}",
            span=8,
        ),
    ]


def lustre(kind: str, *of: str) -> Row:
    """Draw an owner's input and output."""

    def rates(title: str, what: str, family: str, unit: str) -> Panel:
        return graph(
            title,
            what,
            Line("{{filesystem}}", total(now(f"{kind}_lustre_{family}", *of), "filesystem")),
            unit=unit,
            span=8,
        )

    return Row(
        "Input and output on Lustre",
        [
            rates("Read", "No line: not measured, or nothing was read or written.", "read_bytes_per_second", "binBps"),
            rates(
                "Written", "No line: not measured, or nothing was read or written.", "write_bytes_per_second", "binBps"
            ),
            rates(
                "Metadata operations per second",
                "Opening, closing, listing, deleting … of files.",
                "metadata_operations_per_second",
                "short",
            ),
        ],
    )
