"""Read durations, sizes, addresses and names as Prometheus and Slurm write them."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from aggregator.model.clustername import is_cluster_name

LARGEST: Final = 2**63 - 1

_MILLISECONDS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_DAY_SECONDS: Final = 86_400
_DURATION: Final = re.compile("".join(rf"(?:([0-9]{{1,15}}){unit})?" for unit in _MILLISECONDS))
# Prometheus counts sizes in powers of two under both spellings: 1KB is 1KiB is 1024 bytes.
_BYTES: Final = {prefix: 1024**power for power, prefix in enumerate(("", "K", "M", "G", "T", "P", "E"))}
_SIZE: Final = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)(?:([KMGTPE])i?)?B")
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*)):([0-9]{1,5})")

LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
DATABASE_NAME: Final = re.compile(r"[A-Za-z0-9_$-]{1,64}")
HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,10}")
_FRAME_SOURCE: Final = re.compile(
    r"'self'|https?://(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,10}(?::[0-9]{1,5})?"
)
CURRENCY: Final = re.compile(r"[A-Z]{3}")
RULE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def must_be(wanted: str, hint: str = "") -> PydanticCustomError:
    """Make the error that is shown as `must be <wanted>, got <what was written>`."""
    return PydanticCustomError("must_be", "must be {wanted}", {"wanted": wanted, "hint": hint})


def refused(message: str) -> PydanticCustomError:
    """Make the error that is shown as it is."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def parse_duration(text: str) -> float:
    """Give the seconds of a Prometheus duration such as `1h30m`, or raise ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not (text := match[0]):
        raise ValueError(f"not a duration: {text!r}")
    counts = zip(match.groups(default="0"), _MILLISECONDS.values(), strict=True)
    milliseconds = sum(int(count) * unit for count, unit in counts)
    if milliseconds * 1_000_000 > LARGEST:
        raise ValueError(f"longer than Prometheus can count: {text!r}")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """Write seconds as Prometheus does, with the largest units that fit."""
    rest = round(seconds * 1000)
    parts = []
    for unit, milliseconds in _MILLISECONDS.items():
        # As Prometheus: years, weeks and days only where nothing remains.
        if unit in "ywd" and rest % milliseconds:
            continue
        count, rest = divmod(rest, milliseconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Give the bytes of a size such as `100MB` or `4GiB`, or raise ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    size = Decimal(match[1]) * _BYTES[match[2] or ""]
    if size != int(size) or size > LARGEST:
        raise ValueError(f"not a whole number of bytes below 8 EiB: {text!r}")
    return int(size)


def format_size(size_bytes: int) -> str:
    """Write bytes in the largest unit that keeps the number whole."""
    prefix, unit = max(
        ((prefix, unit) for prefix, unit in _BYTES.items() if size_bytes % unit == 0 and size_bytes >= unit),
        key=lambda item: item[1],
        default=("", 1),
    )
    return f"{size_bytes // unit}{prefix}{'i' if prefix else ''}B"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Hold the host and port to listen on; an empty host means every interface."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Read `:9850`, `127.0.0.1:9850` or `[::1]:9850`, or raise ValueError."""
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match[3]) > 65535:
            raise ValueError(f"not a listen address: {text!r}")
        if match[1]:
            ipaddress.IPv6Address(match[1])
        return cls(match[1] or match[2], int(match[3]))

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_duration(value: object) -> float:
    """Read a duration of the file in seconds, or raise the error that says what is wanted."""
    wanted = "a duration such as 30s, 5m or 1h30m"
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            pass
    bare = type(value) in (int, float) or (isinstance(value, str) and value.isdecimal())
    raise must_be(wanted, "add a unit: ms, s, m, h, d, w or y" if bare else "")


def _read_half_life(value: object) -> float:
    """Read the half-life of usage; 0 is Slurm's word for no decay."""
    seconds = 0.0 if value == 0 and type(value) is int else read_duration(value)
    # Roll-ups are by the hour: of a shorter half-life they say too little.
    if 0 < seconds < _DAY_SECONDS:
        raise must_be("0s (no decay) or at least 1d")
    return seconds


def _require_positive(seconds: float) -> float:
    if seconds <= 0:
        raise must_be("a duration above 0s")
    return seconds


def read_size(value: object) -> int:
    """Read a size of the file in bytes, or raise the error that says what is wanted."""
    wanted = "a size such as 100MB, 4GiB or 10TB"
    if type(value) is int and 0 <= value <= LARGEST:
        return value
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError:
            pass
    raise must_be(wanted)


def _read_address(value: object) -> ListenAddress:
    try:
        return ListenAddress.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise must_be("an address such as :9850, 127.0.0.1:9850 or [::1]:9850") from None


def _read_url(value: object) -> str:
    wanted = "a URL such as https://host:9090"
    if not isinstance(value, str) or re.search(r"[\s\x00-\x1f]", value):
        raise must_be(wanted)
    url = split_url(value)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise must_be(wanted)
    if "@" in url.netloc:
        raise refused("must not hold credentials, which have keys of their own")
    return value


def split_url(text: str) -> SplitResult | None:
    """Split a URL, or give None when its host or port cannot be read."""
    try:
        url = urlsplit(text)
        return None if url.port == 0 else url
    except ValueError:
        return None


def is_private(url: str) -> bool:
    """Tell whether nobody can read or change on the way what is asked for: over TLS, or on this machine."""
    parts = split_url(url)
    if parts is None or not parts.hostname or re.search(r"[\s\x00-\x1f]", url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and ListenAddress(parts.hostname, 0).is_loopback)


def _require_items(items: tuple[object, ...]) -> tuple[object, ...]:
    if not items:
        raise refused("must not be empty")
    return items


def _read_names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise must_be("a name or a list of names")
    return tuple(names)


def _read_network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise must_be("a network such as 127.0.0.1/32 or fd00::/8") from None


def _read_file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise must_be("the path of a file")
    return directory(info) / value


def directory(info: ValidationInfo) -> Path:
    """Give the folder of the configuration file, from which relative paths are read."""
    return Path((info.context or {}).get("directory", ""))


def _integer(minimum: int, maximum: int = LARGEST) -> PlainValidator:
    wanted = f"an integer of at least {minimum}" if maximum == LARGEST else f"{minimum}–{maximum}"

    def read(value: object) -> int:
        if type(value) is int and minimum <= value <= maximum:
            return value
        raise must_be(wanted)

    return PlainValidator(read)


def _number(minimum: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, int | float) and type(value) is not bool and minimum <= value <= LARGEST:
            return float(value)
        raise must_be(f"a number of at least {minimum:g}")

    return read


def read_ratio(value: object) -> float:
    """Read a number of the file from 0 to 1, or raise the error that says what is wanted."""
    if isinstance(value, int | float) and type(value) is not bool:
        if 0 <= value <= 1:
            return float(value)
        if 1 < value <= 100:
            raise must_be("a ratio from 0 to 1", f"{value:g} % is {value / 100:g}")
    raise must_be("a ratio from 0 to 1")


def _matching(pattern: re.Pattern[str], wanted: str) -> AfterValidator:
    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise must_be(wanted)
        return value

    return AfterValidator(check)


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise must_be("a time zone that this machine knows, such as America/Toronto") from None
    return name


def _check_host(text: str) -> str:
    """Refuse what belongs into other keys; an IPv6 address has colons, too."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
        raise must_be("a host without a port", f"host: {host}, port: {port}")
    if "/" in text and not text.startswith("/"):
        raise must_be("the name or the address of a host, not a URL")
    return text


def _check_ip_address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise must_be("an IP address, without a port") from None
    return text


def _check_host_name(text: str) -> str:
    if HOST_NAME.fullmatch(text) is None:
        raise must_be("a host name, without a port")
    return text.lower()


def _check_frame_source(text: str) -> str:
    """Refuse what would add words of its own to the header that it becomes a part of."""
    if _FRAME_SOURCE.fullmatch(text) is None:
        raise must_be("'self' or an origin such as https://portal.example.org or https://*.example.org")
    return text


def _read_month_day(value: object) -> tuple[int, int]:
    """Read a day that every year has."""
    try:
        # 2001 has no 29 February.
        day = datetime.strptime(f"2001-{value}", "%Y-%m-%d").date() if isinstance(value, str) else None  # noqa: DTZ007
    except ValueError:
        day = None
    if day is None:
        raise must_be('a month and a day of every year such as "04-01"')
    return day.month, day.day


def _check_cluster_name(name: str) -> str:
    if not is_cluster_name(name):
        raise refused(
            'a cluster\'s name must be at most 40 letters, digits, "_" and "-", not beginning with "-", '
            "since it enters SQL text as the prefix of Slurm's tables"
        )
    return name


def _as_text(convert: Callable[..., str]) -> PlainSerializer:
    return PlainSerializer(convert, return_type=str, when_used="json")


read_amount: Final = _number(0)
Duration = Annotated[float, PlainValidator(read_duration), _as_text(format_duration)]
Interval = Annotated[float, PlainValidator(read_duration), AfterValidator(_require_positive), _as_text(format_duration)]
HalfLife = Annotated[float, PlainValidator(_read_half_life), _as_text(format_duration)]
Size = Annotated[int, PlainValidator(read_size), _as_text(format_size)]
Address = Annotated[ListenAddress, PlainValidator(_read_address), _as_text(str)]
Url = Annotated[str, PlainValidator(_read_url)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_read_network), _as_text(str)]
Networks = Annotated[tuple[Network, ...], Field(strict=False), AfterValidator(_require_items)]
File = Annotated[Path, PlainValidator(_read_file), _as_text(str)]
Port = Annotated[int, _integer(1, 65535)]
Count = Annotated[int, _integer(1)]
# With fewer there is no telling whose turn it is.
Connections = Annotated[int, _integer(16)]
# What is 0 leaves the label out; slurmdbd itself cuts names at 255 bytes.
LabelBytes = Annotated[int, _integer(0, 1024)]
Amount = Annotated[float, PlainValidator(read_amount)]
Pue = Annotated[float, PlainValidator(_number(1))]
Ratio = Annotated[float, PlainValidator(read_ratio)]
Text = Annotated[str, Field(min_length=1)]
TimeZone = Annotated[str, AfterValidator(_check_zone)]
MonthDay = Annotated[tuple[int, int], PlainValidator(_read_month_day), _as_text(lambda day: f"{day[0]:02}-{day[1]:02}")]
# YAML has lists, a frozen section has tuples: only this conversion is not strict.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
# One name stands for a list of one.
Names = Annotated[
    tuple[str, ...], PlainValidator(_read_names), PlainSerializer(list, return_type=list[str], when_used="json")
]
NotEmpty = AfterValidator(_require_items)
Host = Annotated[str, Field(min_length=1), AfterValidator(_check_host)]
IpAddress = Annotated[str, AfterValidator(_check_ip_address)]
HostNames = Annotated[tuple[Annotated[str, AfterValidator(_check_host_name)], ...], Field(strict=False)]
FrameSources = Annotated[tuple[Annotated[str, AfterValidator(_check_frame_source)], ...], Field(strict=False)]
LabelName = Annotated[str, _matching(LABEL_NAME, "a label name ([a-zA-Z_][a-zA-Z0-9_]*)")]
MetricName = Annotated[str, _matching(METRIC_NAME, "a metric name ([a-zA-Z_:][a-zA-Z0-9_:]*), not PromQL")]
HeaderName = Annotated[str, _matching(HEADER_NAME, "the name of an HTTP header")]
Currency = Annotated[str, _matching(CURRENCY, "a currency code such as CAD (ISO 4217)")]
RuleName = Annotated[str, _matching(RULE_NAME, "a rule's name ([a-z][a-z0-9_]*), which becomes a label's value")]
ClusterName = Annotated[str, AfterValidator(_check_cluster_name)]
DatabaseName = Annotated[
    str,
    _matching(DATABASE_NAME, 'at most 64 letters, digits, "_", "$" and "-", since it enters SQL text'),
]
