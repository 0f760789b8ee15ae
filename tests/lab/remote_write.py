"""Write samples at times of their own into any engine: Prometheus's remote write, version 1, by hand.

A request is a protobuf message in snappy's block format; https://prometheus.io/docs/specs/prw/remote_write_spec/.
"""

import struct
import urllib.request
from collections.abc import Iterable, Mapping, Sequence

# A NaN with these bits says that a series has ended.
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
# labels with __name__, and (epoch seconds, value) in the order of time
Written = tuple[Mapping[str, str], Sequence[tuple[float, float]]]


def remote_write(url: str, series: Iterable[Written]) -> None:
    """Write series to the address that takes remote writes."""
    send(url, (encode_labels(labels) + encode_samples(samples) for labels, samples in series))


def send(url: str, series: Iterable[bytes]) -> None:
    """Write series that are encoded already: each its labels, then its samples."""
    message = b"".join(_field(1, each) for each in series)
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = urllib.request.Request(url, _snappy(message), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30):
        pass


def encode_labels(labels: Mapping[str, str]) -> bytes:
    """Encode the labels of a series, with __name__."""
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )


def encode_samples(samples: Iterable[tuple[float, float]]) -> bytes:
    """Encode samples, which many series may have in common."""
    return b"".join(_field(2, _sample(time, value)) for time, value in samples)


def _sample(time: float, value: float) -> bytes:
    # Field 1, 64 bits; field 2, a number.
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _number(round(time * 1000))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _number(len(content)) + content


def _number(value: int) -> bytes:
    """Write seven bits at a time, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _snappy(content: bytes) -> bytes:
    """Wrap as one literal, which snappy allows: the length, the tag of a literal with a length of four bytes."""
    return _number(len(content)) + b"\xfc" + struct.pack("<I", len(content) - 1) + content
