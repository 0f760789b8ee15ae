"""How panels look: one accent, grey for what is allocated, red and amber for findings only, and words for null."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as formats

from boards.links import links_of

ACCENT: Final = "blue"
ALLOCATED: Final = "#8e8e8e"
CAPACITY: Final = "#c7c7c7"
WASTED: Final = "red"
UNKNOWN: Final = "#a5a5a5"
WIDTH: Final = 24
_LETTERS: Final = "ABCDEFGHIJKLMNOP"
DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
Panel = stat.Panel | timeseries.Panel | table.Panel


@dataclass(frozen=True)
class Line:
    """A query of a graph; without a colour its series are shades of the accent."""

    name: str
    expr: str
    colour: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Column:
    """A column of values of a table, coloured from amber and red on."""

    name: str
    expr: str
    unit: str = "short"
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Rows:
    """What a table has a row for: labels, and columns of values, the first of which says which rows there are."""

    labels: Sequence[str]
    columns: Sequence[Column]


def single(
    title: str,
    what: str,
    expr: str,
    unit: str = "short",
    *,
    name: str = "",
    limits: tuple[float, float] | None = None,
    span: int = 4,
) -> stat.Panel:
    """Show one number, or one for each `name`; amber and red from `limits` on."""
    return (
        stat.Panel()
        .title(title).description(what).span(span).height(4).datasource(DATASOURCE)
        .unit(unit).no_value("not known").thresholds(_thresholds(limits))
        .color_mode(kinds.BigValueColorMode.VALUE).graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if name else kinds.BigValueTextMode.VALUE)
        .with_target(_query(expr, "A").instant().legend_format(name))
    )  # fmt: skip


def graph(
    title: str, what: str, *lines: Line, unit: str = "short", stacked: bool = False, span: int = 12
) -> timeseries.Panel:
    """Draw lines over the time shown; a gap is time in which the value is not known."""
    panel = (
        timeseries.Panel()
        .title(title).description(what).span(span).height(8).datasource(DATASOURCE)
        .unit(unit).min(0).line_width(1).fill_opacity(25 if stacked else 0).span_nulls(False)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.SHADES).fixed_color(ACCENT))
        .legend(common.VizLegendOptions().show_legend(True).display_mode(kinds.LegendDisplayMode.LIST)
                .placement(kinds.LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        .stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL if stacked else kinds.StackingMode.NONE))
    )  # fmt: skip
    for letter, line in zip(_LETTERS, lines, strict=False):
        panel.with_target(_query(line.expr, letter).range().legend_format(line.name))
        if looks := _looks(line):
            panel.override_by_query(letter, looks)
    return panel


def listed(title: str, what: str, rows: Rows, *, span: int = WIDTH, height: int = 9) -> table.Panel:
    """List things now, the largest of the first column first; an empty cell is what is not known."""
    panel = (
        table.Panel()
        .title(title).description(what).span(span).height(height).datasource(DATASOURCE)
        .cell_height(kinds.TableCellHeight.SM)
        .sort_by([common.TableSortByFieldState().display_name(rows.columns[0].name).desc(True)])
    )  # fmt: skip
    by, first = f"({', '.join(rows.labels)})", rows.columns[0]
    for letter, column in zip(_LETTERS, rows.columns, strict=False):
        expr = column.expr if column is first else f"{column.expr} and on {by} {first.expr}"
        panel.with_target(_query(expr, letter).instant().format(formats.PromQueryFormat.TABLE))
        panel.override_by_name(column.name, _cell(column))
    for label, links in links_of(rows.labels).items():
        value = [{"title": name, "url": url} for name, url in links]
        panel.override_by_name(label, [models.DynamicConfigValue("links", value)])
    return panel.transformations(_arranged(rows))


def facts(title: str, what: str, expr: str, labels: Sequence[str]) -> table.Panel:
    """List the labels of series whose value means nothing."""
    panel = listed(title, what, Rows(labels, [Column("1", expr)]), height=4).sort_by([])
    hidden = models.DynamicConfigValue("custom.hidden", True)
    return panel.override_by_name("1", [hidden])


def _query(expr: str, letter: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(expr)
        .ref_id(letter)
        .editor_mode(formats.QueryEditorMode.CODE)
        .datasource(DATASOURCE)
    )


def _thresholds(limits: tuple[float, float] | None) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(None, ACCENT)]
    if limits:
        steps = [
            models.Threshold(None, "text"),
            models.Threshold(limits[0], "orange"),
            models.Threshold(limits[1], "red"),
        ]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _looks(line: Line) -> list[models.DynamicConfigValue]:
    looks = []
    if line.colour:
        looks.append(models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": line.colour}))
    if line.dashed:
        looks.append(models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}))
    return looks


def _cell(column: Column) -> list[models.DynamicConfigValue]:
    looks = [models.DynamicConfigValue("unit", column.unit)]
    if column.limits:
        looks.append(models.DynamicConfigValue("thresholds", _thresholds(column.limits).build().to_json()))
        looks.append(models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return looks


def _arranged(rows: Rows) -> list[models.DataTransformerConfig]:
    """Make one row of what the queries say of one thing, name the columns, and leave the time out."""
    # A single query's column is not numbered.
    names: list[tuple[str, Any]] = [("Value", rows.columns[0].name)] if len(rows.columns) == 1 else [
        (f"Value #{letter}", column.name) for letter, column in zip(_LETTERS, rows.columns, strict=False)
    ]  # fmt: skip
    order = {name: at for at, name in enumerate((*rows.labels, *(value for value, _ in names)))}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": dict(names)}
    return [
        models.DataTransformerConfig(id_val="merge", options={}),
        models.DataTransformerConfig(id_val="organize", options=organize),
    ]
