"""What a cloud is made of, beside what its source brings."""

from dataclasses import dataclass, field

from aggregator.model.cloud import IdleRule


@dataclass(frozen=True, slots=True)
class Cloud:
    """What the configuration says of a cloud: its name, and when an instance of it idles."""

    name: str
    rule: IdleRule = field(default_factory=IdleRule)
