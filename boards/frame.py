"""What all boards have: variables, links to each other and to the service's pages, rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from boards.style import DATASOURCE, Panel

TAG: Final = "hpc-aggregator"
# Where the service's pages are: a site puts its own address in its place (docs/grafana.md).
SERVICE: Final = "https://hpc.example.org/aggregator"


@dataclass(frozen=True)
class Choice:
    """A variable: the values of a label of some series; several of them, or one."""

    name: str
    series: str
    several: bool = False
    label: str = ""


@dataclass(frozen=True)
class Row:
    """Panels under a title."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """A board: `name` is that of its file and, after `hpc-`, of its address."""

    name: str
    title: str
    about: str
    choices: Sequence[Choice]
    rows: Sequence[Row]
    since: str = "now-6h"


CLUSTERS: Final = Choice("cluster", "hpc_account_info", several=True)
CLUSTER: Final = Choice("cluster", "hpc_account_info")


def build(of: Board) -> models.Dashboard:
    """Make the dashboard as Grafana's JSON has it."""
    made = (
        dashboard.Dashboard(of.title)
        .uid(f"hpc-{of.name}").description(of.about).tags([TAG]).readonly()
        .time(of.since, "now").refresh("1m").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(
            dashboard.DashboardLink("Boards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
            .as_dropdown(True).include_vars(True).keep_time(True)
        )
        .link(dashboard.DashboardLink("Pages").type(models.DashboardLinkType.LINK).url("${service}/"))
    )  # fmt: skip
    for choice in of.choices:
        made.with_variable(_variable(choice))
    made.with_variable(dashboard.ConstantVariable("service").value(SERVICE).description("The service's address."))
    for row in of.rows:
        made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made.with_panel(panel)
    return _numbered(made.build())


def _numbered(made: models.Dashboard) -> models.Dashboard:
    """Give panels and rows ids of their own, and keep the constant out of addresses, which viewers could change."""
    for number, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number
    for variable in made.templating.list_val or ():
        variable.skip_url_sync = variable.type_val == models.VariableType.CONSTANT
    return made


def _variable(choice: Choice) -> dashboard.QueryVariable:
    query = f"label_values({choice.series}, {choice.label or choice.name})"
    variable = (
        dashboard.QueryVariable(choice.name)
        .label(choice.name.capitalize()).datasource(DATASOURCE).query({"query": query, "refId": choice.name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(choice.several).include_all(choice.several)
    )  # fmt: skip
    return variable.all_value(".*").current(_all()) if choice.several else variable


def _all() -> models.VariableOption:
    return models.VariableOption(text="All", value="$__all", selected=True)
