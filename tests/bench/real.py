"""`serve` in front of a real MariaDB and a real Prometheus: what it costs, and how it answers under load."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import demos, slurmacct
from tests.bench.figures import Figure
from tests.bench.running import Running
from tests.bench.site import RealSite
from tests.bench.sizes import Sizes
from tests.bench.under_load import under_load
from tests.large_table import CLUSTER

# Which ended within the time that each refresh looks back on, and since the last.
_LOOKED_BACK_SECONDS = 120.0


def measure(sizes: Sizes, root: Path) -> Iterator[Mapping[str, Figure]]:
    """Fill the servers, and measure the service in front of them; give figures as they are found."""
    with RealSite(root / "site", sizes) as site:
        with ThreadPoolExecutor(1) as pool:
            # Filling takes a minute, and what is flat does not depend on how busy the machine is.
            filling = pool.submit(site.fill)
            yield demos.flat(sizes, root / "flat")
            filling.result()
        yield slurmacct.measure(site, sizes.repeats)
        site.observe()
        command = ["serve", f"--config.file={site.configure(sizes.interval)}"]
        with Running(root / "serve", CLUSTER, command) as place:
            yield from _measure(site, place, sizes)


def _measure(site: RealSite, place: Running, sizes: Sizes) -> Iterator[Mapping[str, Figure]]:
    cpu, seconds = place.start()
    yield {"start": Figure(cpu, note=f"in {seconds:.1f} s")}
    yield _cost(site, place, sizes)
    if sizes.load_on == "real":
        yield under_load(place, sizes, site.go_on)
    resident, most = place.memory()
    yield {"memory": Figure(resident, note=f"at most {most:.0f} MB")}


def _cost(site: RealSite, place: Running, sizes: Sizes) -> dict[str, Figure]:
    """Measure refreshes that nothing disturbs, and what they read."""
    place.next_refresh()
    rows, before = site.rows_read(), place.moment()
    cost = place.refresh_cost(sizes.refreshes, sizes.interval)
    fetches = place.moment().fetches - before.fetches
    rows_now = site.rows_read()
    needed = sizes.open_rows + _LOOKED_BACK_SECONDS + sizes.interval
    samples, page = place.page_size()
    return {
        "refresh_real": Figure(cost, note=f"{samples:,} samples, {page / 1e6:.1f} MB of gzip"),
        "rows": Figure((rows_now.all - rows.all) / fetches, needed),
        "scans": Figure(rows_now.scanned(rows) / fetches),
    }
