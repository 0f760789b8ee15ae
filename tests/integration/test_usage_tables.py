"""slurmdbd's roll-up tables, read from a real MariaDB: a year of 250,000 rows by the hour, for four releases."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from aggregator.model.accounting import Run
from aggregator.model.calendar import DAY, RESOLUTIONS, Calendar, Resolution, Rolled, Segment, cover
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import Runs, runs_of
from aggregator.model.usage import CLUSTER_STATES, UsageCatalog, UsageSums
from aggregator.parts.accounts.usage import sum_usage
from aggregator.queries.usage_points import with_below
from aggregator.refresh.decayed import read_decayed
from aggregator.refresh.usage import UsageWindows
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct, SlurmUsage, usage_statements
from aggregator.sources.slurmacct.schema import Schema
from tests.builders import make_allocation, make_run
from tests.lab.mariadb import MariaDB
from tests.lab.process import wait_until
from tests.slurm_schema import create_tables, schemas

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, PASSWORD = "slurm_usage_db", "narval-2", "only for tests"
# Each release with another clock: two that change it, one of half hours.
RELEASES = {"20.11": "Europe/Paris", "22.05": "America/Toronto", "23.02": "Asia/Kolkata", "26.05": "Europe/Paris"}
ASSOCIATIONS = 15
# root ← physics ← physics_ab; `_` is a wildcard to LIKE, and must be none to us. 13 to 15 are deleted.
USERS = {number: (f"u{number % 7}", "physics" if number <= 6 else "physics_ab" if number <= 10 else "chem")
         for number in range(1, ASSOCIATIONS + 1)}  # fmt: skip
TRES = {1: ("cpu", ""), 2: ("mem", ""), 3: ("energy", ""), 1001: ("gres", "gpu")}
COUNT = 640
TRANSACTIONS = (
    "SELECT id FROM information_schema.innodb_trx JOIN information_schema.processlist ON id=trx_mysql_thread_id"
    " WHERE user='usage'"
)


class Site:
    """The synthetic year of one release."""

    def __init__(self, mariadb: MariaDB, release: str) -> None:
        self.mariadb, self.release, self.zone = mariadb, release, ZoneInfo(RELEASES[release])
        self.calendar = Calendar(self.zone)
        self.begin, self.now = self.at("2025-01-01"), self.at("2025-12-20T10:25")
        self.rolled = Rolled(*(self.calendar.floor(self.now, resolution) for resolution in RESOLUTIONS))

    def at(self, text: str) -> float:
        return datetime.fromisoformat(text).replace(tzinfo=self.zone).timestamp()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self.mariadb.execute(sql.replace("X_", f"{CLUSTER}_"), DATABASE, list(parameters))

    def set_rolled(self, rolled: Rolled) -> None:
        self.execute("DELETE FROM `X_last_ran_table`")
        columns = "hourly_rollup, daily_rollup, monthly_rollup"
        self.execute(
            f"INSERT INTO `X_last_ran_table` ({columns}) VALUES (%s, %s, %s)", (rolled.hour, rolled.day, rolled.month)
        )

    def hours(self, ids: Sequence[int], tres_id: int, begin: float, end: float) -> dict[float, float]:
        """Read the truth: the rows by the hour."""
        rows = self.execute(
            "SELECT time_start, SUM(alloc_secs) FROM `X_assoc_usage_hour_table` WHERE id IN %s AND id_tres=%s"
            " AND time_start>=%s AND time_start<%s GROUP BY time_start", (tuple(ids), tres_id, begin, end)
        )  # fmt: skip
        return {float(start): float(seconds) for start, seconds in rows}

    def fill(self) -> None:
        create_tables(self.mariadb, DATABASE, self.release, CLUSTER)
        self._fill_dimensions()
        self._fill_hours()
        self._roll_up()
        for kind in ("usage", "assoc_usage"):
            for resolution in RESOLUTIONS:
                self.execute(f"ANALYZE TABLE `X_{kind}_{resolution}_table`")
        self.set_rolled(self.rolled)
        self.mariadb.create_user("usage", PASSWORD, [rf"SELECT ON `{DATABASE}`.*"])

    def _fill_dimensions(self) -> None:
        insert = "INSERT INTO `X_assoc_table` (id_assoc, user, acct, parent_acct, deleted) VALUES (%s, %s, %s, %s, %s)"
        for number, (user, account) in USERS.items():
            self.execute(insert, (number, f"{user} '\"", account, "", int(number > 12)))
        for number, (account, parent) in enumerate(
            [("root", ""), ("physics", "root"), ("physics_ab", "physics"), ("chem", "root")], start=100
        ):
            self.execute(insert, (number, "", account, parent, int(account == "chem")))
        for account, minutes in (("physics", "1=600,1001=60,3=5,x"), ("chem", "2=9")):
            self.execute("UPDATE `X_assoc_table` SET grp_tres_mins=%s WHERE acct=%s AND user=''", (minutes, account))
        for number, (kind, name) in TRES.items():
            self.execute(
                "INSERT INTO tres_table (creation_time, deleted, id, type, name) VALUES (1, 0, %s, %s, %s)",
                (number, kind, name),
            )

    def _fill_hours(self) -> None:
        starts = list(self.calendar.periods(self.begin, self.rolled.hour, "hour"))
        self.execute("CREATE TABLE clock (hour BIGINT PRIMARY KEY, day BIGINT, month BIGINT)")
        rows = ", ".join(
            f"({start:.0f}, {self.calendar.floor(start, 'day'):.0f}, {self.calendar.floor(start, 'month'):.0f})"
            for start in starts
        )
        self.execute(f"INSERT INTO clock VALUES {rows}")
        self.execute(
            "INSERT INTO `X_assoc_usage_hour_table` (creation_time, mod_time, id, id_tres, time_start, alloc_secs)"
            " SELECT hour, hour, seq, tres.id, hour, 1 + (hour/600*seq + tres.id*31) %% 3600"
            f" FROM clock JOIN seq_1_to_{ASSOCIATIONS} JOIN tres_table tres"
            " WHERE tres.id<>3 AND (hour/1800+seq) %% 3 < 2"
        )
        columns = schemas()[self.release]["<cluster>_usage_hour_table"]["columns"]
        planned = "plan_secs" if "plan_secs" in columns else "resv_secs"
        self.execute(
            "INSERT INTO `X_usage_hour_table` (creation_time, mod_time, id_tres, time_start, count, alloc_secs,"
            f" down_secs, pdown_secs, idle_secs, over_secs, {planned}) SELECT hour, hour, id, hour, {COUNT},"
            f" {COUNT}*3600 - 1000, 100, 200, 300, 50, 400 FROM clock JOIN tres_table WHERE id<>3"
        )
        self._planned = planned

    def _roll_up(self) -> None:
        """Do what slurmdbd does: days are sums of hours, months of days, each only when it is over."""
        columns = ("alloc_secs", "down_secs", "pdown_secs", "idle_secs", "over_secs", self._planned)
        summed = ", ".join(f"SUM({column})" for column in columns)
        for resolution in ("day", "month"):
            end = int(self.rolled.until(resolution))
            self.execute(
                f"INSERT INTO `X_assoc_usage_{resolution}_table` "
                "(creation_time, mod_time, id, id_tres, time_start, alloc_secs)"
                f" SELECT {end}, {end}, id, id_tres, {resolution}, SUM(alloc_secs) FROM `X_assoc_usage_hour_table`"
                f" JOIN clock ON hour=time_start WHERE {resolution}<{end} GROUP BY id, id_tres, {resolution}"
            )
            self.execute(
                f"INSERT INTO `X_usage_{resolution}_table` "
                f"(creation_time, mod_time, id_tres, time_start, count, {', '.join(columns)})"
                f" SELECT {end}, {end}, id_tres, {resolution}, {COUNT}, {summed} FROM `X_usage_hour_table`"
                f" JOIN clock ON hour=time_start WHERE {resolution}<{end} GROUP BY id_tres, {resolution}"
            )


@pytest.fixture(scope="module", params=sorted(RELEASES))
def site(request: pytest.FixtureRequest, mariadb: MariaDB) -> Site:
    made = Site(mariadb, request.param)
    made.fill()
    return made


@pytest.fixture
def rolls(site: Site) -> Iterator[Site]:
    """Let a test roll back or forward what the others rely on."""
    yield site
    site.set_rolled(site.rolled)


def connect(site: Site, user: str = "usage") -> Database:
    return Database(
        Connection(
            key="clusters.narval-2.slurmacct", host="127.0.0.1", port=site.mariadb.port, user=user,
            password=lambda: PASSWORD, database=DATABASE,
        )
    )  # fmt: skip


@pytest.fixture
async def database(site: Site) -> AsyncIterator[Database]:
    opened = connect(site)
    yield opened
    await opened.close()


def open_usage(database: Database, timezone: str | None = None) -> SlurmUsage:
    key = "clusters.narval-2.slurmacct"
    return SlurmUsage(SlurmAcct(CLUSTER, database, key, 600.0), database, key, timezone)


@pytest.fixture
def usage(site: Site, database: Database, monkeypatch: pytest.MonkeyPatch) -> SlurmUsage:
    # What a test writes while a transaction is open may take a busy machine longer than the transaction may last.
    monkeypatch.setattr("aggregator.sources.mysql.SNAPSHOT_SECONDS", 60)
    return open_usage(database, RELEASES[site.release])


async def known(usage: SlurmUsage) -> UsageCatalog:
    catalog = await usage.catalog()
    assert catalog is not None
    return catalog


def plan_of(site: Site, begin: float, end: float, coarsest: Resolution):
    return lambda rolled: cover(begin, end, rolled, site.calendar, coarsest)


async def test_every_statement_is_served_by_the_primary_key(site: Site) -> None:
    ((rows,),) = site.execute("SELECT COUNT(*) FROM `X_assoc_usage_hour_table`")
    assert int(str(rows)) >= 200_000
    schema = Schema(CLUSTER, {
        table.removeprefix("<cluster>_").removesuffix("_table"): frozenset(found["columns"])
        for table, found in schemas()[site.release].items()
    })  # fmt: skip
    ids, week = (1, 2, 3, 4, 5), (int(site.now - 7 * DAY), int(site.now))
    for sql, parameters, expected in (
        (usage_statements.series(schema, "hour", 5, 2), (*ids, 1, 2, *week), 5 * 2 * 168 * 2 / 3),
        (usage_statements.series(schema, "day", 5, 2), (*ids, 1, 2, *week), 5 * 2 * 7),
        (usage_statements.totals(schema, "hour", 5, 2), (*ids, 1, 2, *week), 5 * 2 * 168 * 2 / 3),
        (usage_statements.totals(schema, "month", 5, 2), (*ids, 1, 2, int(site.begin), int(site.now)), 5 * 2 * 11),
        (usage_statements.decayed(schema, "hour", 5, 2), (site.now, 1e-6, *ids, 1, 2, *week), 5 * 2 * 168 * 2 / 3),
        (usage_statements.decayed(schema, "day", 5, 2), (site.now, 1e-6, *ids, 1, 2, *week), 5 * 2 * 7),
        (usage_statements.cluster_series(schema, "hour", 2), (1, 2, *week), 2 * 168),
        (usage_statements.boundaries(schema), (), usage_statements.BOUNDARIES),
    ):
        (row,) = site.execute("EXPLAIN " + sql, parameters)
        access, key, examined, extra = row[3], row[5], int(str(row[8])), str(row[9])
        assert (access in ("range", "ref"), key) == (True, "PRIMARY"), (sql, row)
        assert examined <= 1.5 * expected + 20, (sql, row)
        assert "filesort" not in extra, (sql, row)
    (row,) = site.execute("EXPLAIN " + usage_statements.first(schema, "hour"))
    assert "optimized away" in str(row[9])


async def test_days_read_from_day_rows_are_the_sums_of_their_hours_also_when_clocks_change(
    site: Site, usage: SlurmUsage
) -> None:
    ids = tuple(USERS)
    rolled, rows = await usage.series(ids, ["cpu", "gres/gpu"], plan_of(site, site.begin, site.rolled.day, "day"))

    assert rolled == site.rolled
    assert len({start for _, start in rows}) == 353, "one row of each day, none by the hour"
    for tres_id, name in ((1, "cpu"), (1001, "gres/gpu")):
        by_day: defaultdict[float, float] = defaultdict(float)
        for start, seconds in site.hours(ids, tres_id, site.begin, site.rolled.day).items():
            by_day[site.calendar.floor(start, "day")] += seconds
        assert {start: seconds for (tres, start), seconds in rows.items() if tres == name} == by_day


async def test_memory_is_in_byte_seconds_and_energy_is_left_out(site: Site, usage: SlurmUsage) -> None:
    begin = site.rolled.hour - 3600
    _, rows = await usage.series((1, 2, 3), ["mem", "energy"], plan_of(site, begin, site.now, "hour"))

    truth = site.hours((1, 2, 3), 2, begin, site.now)
    assert rows == {("mem", start): seconds * 2**20 for start, seconds in truth.items()}


async def test_a_year_of_months_days_and_hours_is_the_sum_of_its_hours(site: Site, usage: SlurmUsage) -> None:
    begin = site.at("2025-01-17T05:00")
    _, found = await usage.totals(tuple(USERS), ["cpu"], plan_of(site, begin, site.now, "month"))

    assert found["begin"].n_unique() == 5
    for number in USERS:
        total = found.filter(association_id=number)["seconds"].sum()
        assert total == sum(site.hours((number,), 1, begin, site.now).values())


def by_account(sums: UsageSums) -> dict[str, dict[tuple[str, str], float]]:
    """Give (TRES, window) → seconds by account."""
    found: defaultdict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for account, tres, window, seconds in sums.accounts.iter_rows():
        found[account][tres, window] = seconds
    return found


async def test_an_account_is_the_sum_of_its_own_and_those_below_also_deleted_ones(
    site: Site, usage: SlurmUsage
) -> None:
    catalog = await known(usage)
    reading = await UsageWindows(usage, Nobody()).fetch(site.now)
    found = sum_usage(reading, runs_of(()))
    assert found is not None
    sums = by_account(found)

    assert catalog.live_accounts == {"root", "physics", "physics_ab"}
    for window, days in (("1d", 1), ("7d", 7), ("30d", 30), ("365d", 365)):
        begin = site.calendar.floor(site.now - days * DAY, "hour")
        for account in sums:
            below = with_below(account, catalog.parents)
            ids = [number for number, (_, of) in USERS.items() if of in below]
            assert sums[account]["cpu", window] == sum(site.hours(ids, 1, begin, site.now).values()), (account, window)
    assert with_below("root", catalog.parents) == {"root", "physics", "physics_ab", "chem"}
    assert found.users.filter(tres="cpu", window="30d")["seconds"].sum() == sums["root"]["cpu", "30d"]


@pytest.mark.parametrize(
    "decay",
    [Decay(7 * DAY), Decay(DAY), Decay(30 * DAY, "monthly"), Decay(0.0, "quarterly"), Decay(0.0)],
    ids=lambda decay: f"{decay.half_life / DAY:g}d-{decay.reset_period}",
)
async def test_decayed_usage_is_that_of_each_hour_by_itself(site: Site, usage: SlurmUsage, decay: Decay) -> None:
    """Against hours fetched one by one; what was read by the day is spread evenly over it."""
    catalog = await known(usage)
    found = await read_decayed(usage, catalog, decay, site.now)
    since = max(decay.since(site.now, site.calendar), site.begin)
    expected: defaultdict[tuple[int, str], float] = defaultdict(float)
    for id_assoc, tres_id, start, seconds in site.execute(
        "SELECT id, id_tres, time_start, alloc_secs FROM `X_assoc_usage_hour_table`"
        " WHERE id_tres IN (1, 1001) AND time_start>=%s AND deleted=0", [int(since)]
    ):  # fmt: skip
        begin = float(str(start))
        left = decay.mean_weight(begin, begin + 3600, site.now)
        expected[int(str(id_assoc)), {1: "cpu", 1001: "gres/gpu"}[int(str(tres_id))]] += float(str(seconds)) * left

    assert (found.since, found.until, found.tres) == (since, site.rolled.hour, {"cpu", "gres/gpu"})
    # A day holds hours of any share of it: a half-life of a day weighs its ends by a factor of 2.
    left = {(number, tres): seconds for number, tres, seconds in found.associations.iter_rows()}
    assert left == pytest.approx(dict(expected), rel=0.02 if decay.half_life > DAY else 0.05)


async def test_only_billing_and_tres_with_limits_on_minutes_are_read(site: Site, usage: SlurmUsage) -> None:
    catalog = await known(usage)
    assert catalog.limited == {"cpu", "gres/gpu"}, "not that of a deleted account, and no energy"
    none = await read_decayed(usage, replace(catalog, limited=frozenset({"fs/disk"})), Decay(), site.now)
    assert (none.tres, none.associations.height) == (frozenset(), 0), "this history has no billing"


async def test_usage_that_was_reset_after_the_last_roll_up_is_that_of_the_jobs(site: Site, usage: SlurmUsage) -> None:
    catalog = await known(usage)
    midnight = site.at("2025-12-21")
    found = await read_decayed(usage, catalog, Decay(0.0, "daily"), midnight + 600)
    assert (found.since, found.until, found.associations.height) == (midnight, midnight, 0)


async def test_the_states_of_the_cluster_are_read_by_their_names(site: Site, usage: SlurmUsage) -> None:
    begin = site.rolled.day - DAY
    _, rows = await usage.cluster_series(["cpu"], plan_of(site, begin, site.rolled.day, "hour"))

    found = [seconds for (_, start, _), seconds in rows.items() if start == begin]
    assert dict(zip(CLUSTER_STATES, found, strict=True)) == {
        "allocated": COUNT * 3600 - 1000, "down": 100, "planned_down": 200, "planned": 400, "idle": 300, "over": 50,
    }  # fmt: skip


async def test_the_time_zone_is_told_by_the_starts_of_days(site: Site, database: Database) -> None:
    catalog = await known(open_usage(database))

    assert catalog.calendar.origin == "derived"
    starts = list(site.calendar.periods(site.begin, site.now, "day"))
    assert all(catalog.calendar.fits("day", start) for start in starts)
    assert catalog.first == dict.fromkeys(RESOLUTIONS, site.begin)


async def test_rows_and_until_when_they_are_final_are_of_one_moment(rolls: Site, usage: SlurmUsage) -> None:
    """The runaway fix deletes rows and moves last_ran back at once: half of that would look like no usage."""
    await known(usage)
    begin = rolls.rolled.hour - 4 * 3600
    truth = rolls.hours((1,), 1, begin, rolls.now)
    double = "UPDATE `X_assoc_usage_hour_table` SET alloc_secs=alloc_secs{}2 WHERE id=1 AND time_start>=%s"

    def plan(rolled: Rolled) -> list[Segment]:
        rolls.set_rolled(Rolled(begin, rolls.rolled.day, rolls.rolled.month))
        rolls.execute(double.format("*"), (begin,))
        return [Segment("hour", begin, rolls.rolled.hour)]

    rolled, rows = await usage.series((1,), ["cpu"], plan)
    rolls.execute(double.format(" DIV "), (begin,))

    assert rolled == rolls.rolled
    assert len(truth) > 1
    assert {start: seconds for (_, start), seconds in rows.items()} == truth


async def test_a_roll_up_between_two_chunks_begins_the_reading_anew(
    rolls: Site, usage: SlurmUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_statements, "CHUNK", 5)
    await known(usage)
    back = replace(rolls.rolled, hour=rolls.rolled.hour - 7200)
    seen: list[Rolled] = []

    def plan(rolled: Rolled) -> list[Segment]:
        seen.append(rolled)
        rolls.set_rolled(back)
        return cover(rolls.rolled.hour - 4 * 3600, rolls.now, rolled, rolls.calendar, "hour")

    rolled, rows = await usage.series(tuple(USERS), ["cpu"], plan)

    assert rolled == back
    assert seen == [rolls.rolled, back, back, back]
    assert {start for _, start in rows} == {back.hour - 7200, back.hour - 3600}, "none that was rolled back"
    assert rows == {
        ("cpu", start): seconds
        for start, seconds in rolls.hours(tuple(USERS), 1, back.hour - 7200, back.hour).items()
    }  # fmt: skip


async def test_roll_ups_without_end_are_an_error(
    rolls: Site, usage: SlurmUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_statements, "CHUNK", 5)
    await known(usage)

    def plan(rolled: Rolled) -> list[Segment]:
        rolls.set_rolled(replace(rolled, hour=rolled.hour - 3600))
        return []

    with pytest.raises(FetchError, match="rolls up again and again"):
        await usage.series(tuple(USERS), ["cpu"], plan)


async def test_tables_that_slurmdbd_has_ceased_to_fill_give_no_windows(rolls: Site, usage: SlurmUsage) -> None:
    """DisableRollups=yes leaves them frozen: the last day would look idle."""
    rolls.set_rolled(Rolled(*(rolls.at(f"2025-12-{day}") for day in ("10", "10", "01"))))
    reading = await UsageWindows(usage, Nobody()).fetch(rolls.now)

    assert reading.until == rolls.at("2025-12-10")
    assert sum_usage(reading, runs_of(())) is None


async def test_nothing_is_known_before_the_first_roll_up(rolls: Site, usage: SlurmUsage) -> None:
    rolls.execute("DELETE FROM `X_last_ran_table`")

    assert await usage.rolled() == Rolled(0.0, 0.0, 0.0)
    assert sum_usage(await UsageWindows(usage, Nobody()).fetch(rolls.now), runs_of(())) is None


async def test_windows_are_read_again_only_when_something_has_moved(
    rolls: Site, usage: SlurmUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = UsageWindows(usage, Nobody())
    first = await windows.fetch(rolls.now)
    same = await windows.fetch(rolls.now + 600)
    rolls.set_rolled(replace(rolls.rolled, hour=rolls.rolled.hour - 3600))
    back = await windows.fetch(rolls.now + 1200)

    assert same.associations is first.associations
    assert (first.until, back.until) == (rolls.rolled.hour, rolls.rolled.hour - 3600)
    cpus = {"window": "1d", "association_id": 3, "tres": "cpu"}
    before, after = (each.associations.filter(**cpus)["seconds"].sum() for each in (first, back))
    assert 0 < after < before


async def test_jobs_stand_in_for_what_is_not_rolled_up(site: Site, usage: SlurmUsage) -> None:
    user = f"{USERS[8][0]} '\""
    held = make_allocation(cpus=4, gpus={"a100": 1})
    running = make_run(user=user, account="physics_ab", start=site.now - 86_400, allocated=held)
    ended = replace(running, run_id=2, start=site.now - 1200, end=site.now - 600)
    before = sum_usage(await UsageWindows(usage, Nobody()).fetch(site.now), runs_of(()))
    after = sum_usage(await UsageWindows(usage, Nobody(ended)).fetch(site.now), runs_of([running]))
    assert before is not None
    assert after is not None

    for account in ("physics_ab", "physics", "root"):
        of = [by_account(sums)[account] for sums in (before, after)]
        assert of[1]["cpu", "1d"] - of[0]["cpu", "1d"] == 4 * (25 * 60 + 600)
        assert of[1]["gres/gpu", "365d"] - of[0]["gres/gpu", "365d"] == 25 * 60 + 600


async def test_tables_that_are_not_granted_are_a_feature_that_is_absent(site: Site) -> None:
    tables = (
        f"{CLUSTER}_job_table",
        f"{CLUSTER}_assoc_table",
        "tres_table",
        "cluster_table",
        "qos_table",
        "acct_table",
    )
    site.mariadb.create_user("without", PASSWORD, [f"SELECT ON `{DATABASE}`.`{table}`" for table in tables])
    database = connect(site, "without")
    windows = UsageWindows(open_usage(database), Nobody())

    reading = await windows.fetch(site.now)

    await database.close()
    assert reading.catalog is None
    assert windows.features == {"usage": False, "qos_usage": False}
    assert sum_usage(reading, runs_of(())) is None


async def test_usage_by_qos_is_offered_where_it_is_rolled_up(site: Site, usage: SlurmUsage) -> None:
    catalog = await known(usage)

    assert (catalog.qos is not None) == (site.release == "26.05")
    if catalog.qos is not None:
        start = int(site.rolled.hour - 3600)
        for qos, seconds in ((1, 100), (2, 40)):
            site.execute(
                "INSERT INTO `X_qos_usage_hour_table` (creation_time, id, id_alt, id_tres, time_start, alloc_secs)"
                " VALUES (1, 1, %s, 1, %s, %s)", (qos, start, seconds)
            )  # fmt: skip
        _, rows = await usage.series((1, 2), ["cpu"], lambda _: [Segment("hour", start, start + 3600)], (2,))
        assert rows == {("cpu", start): 40.0}


async def test_a_transaction_is_over_after_two_seconds_whatever_happens_in_it(site: Site, database: Database) -> None:
    async def sleep() -> None:
        async with database.snapshot() as read:
            await read("SELECT SLEEP(30) FROM tres_table")

    async def fail() -> None:
        async with database.snapshot() as read:
            await read("SELECT 1")
            raise ZeroDivisionError

    with pytest.raises(FetchError, match=r"statement_timeout|longer than 1 s"):
        await sleep()
    with pytest.raises(ZeroDivisionError):
        await fail()

    await asyncio.to_thread(wait_until, lambda: site.execute(TRANSACTIONS) == [], 10, "every transaction to be over")


async def test_a_transaction_of_a_process_that_is_frozen_is_ended_by_the_server(site: Site, database: Database) -> None:
    async def freeze() -> None:
        async with database.snapshot() as read:
            await read("SELECT COUNT(*) FROM tres_table")
            wait_until(lambda: len(site.execute(TRANSACTIONS)) == 1, 10, "the transaction to be seen")
            # It blocks the event loop: no limit of our own is kept.
            wait_until(lambda: site.execute(TRANSACTIONS) == [], 60, "the transaction to be over")

    with pytest.raises(FetchError):
        await freeze()


async def test_a_session_is_as_before_after_a_snapshot(database: Database) -> None:
    async with database.snapshot() as read:
        (within,) = await read("SELECT @@in_transaction, @@max_statement_time, @@wait_timeout")
    (after,) = await database.rows(
        "SELECT @@in_transaction, @@max_statement_time, @@tx_isolation, @@tx_read_only,"
        " @@wait_timeout=@@global.wait_timeout"
    )

    assert within == (1, 1.0, 2)
    assert after == (0, 20.0, "READ-COMMITTED", 1, 1)


class Nobody:
    """No run has ended since, or these have."""

    def __init__(self, *ended: Run) -> None:
        self._ended = ended

    async def ended_since(self, since: float) -> Runs:
        return runs_of(self._ended)
