"""Random rules and exemptions, whose thresholds lie where the values of random runs lie."""

from random import Random

from aggregator.model.waste import FIELDS, Condition, Exemption, Level, Rule
from tests.builders import GIB, make_rule

from .runs import NAMES, RATIOS
from .scene import SHIPPED

RULES = ("a", "b", "c", "d")
THRESHOLDS = (0.0, 1.0, 2.0, 1800.0, 3600.0, 7200.0, 86_400.0, float(8 * GIB), *RATIOS)


def random_rules(random: Random) -> list[Rule]:
    """Draw rules that give way only to those before them, so that there is no circle, in any order."""
    rules = [_rule(random, name, RULES[:number]) for number, name in enumerate(RULES)]
    if random.random() < 0.5:
        rules += SHIPPED
    random.shuffle(rules)
    return rules[random.randint(0, 2) :]


def _rule(random: Random, name: str, before: tuple[str, ...]) -> Rule:
    severities = random.choice([("warning",), ("critical",), ("warning", "critical"), ("critical", "warning")])
    return make_rule(
        name=name, resource=random.choice(["cpu", "memory", "gpu"]), coverage=random.choice([0.0, 0.01, 0.5, 0.8, 1.0]),
        levels=tuple(Level(severity, _conditions(random, 1)) for severity in severities),
        conditions=_conditions(random, 0), minimum_runtime=random.choice([0.0, 1800.0, 3600.0]),
        unless=frozenset(random.sample(before, random.randint(0, len(before)))),
        exemptions=tuple(random_exemption(random) for _ in range(random.choice([0, 0, 0, 1, 2]))),
    )  # fmt: skip


def _conditions(random: Random, least: int) -> tuple[Condition, ...]:
    count = random.choice([least, least, 1, 2, 3])
    return tuple(
        Condition(random.choice(sorted(FIELDS)), random.choice(["<", "<=", ">", ">=", "==", "!="]),
                  random.choice(THRESHOLDS)) for _ in range(count)
    )  # fmt: skip


def random_exemption(random: Random, rules: tuple[str, ...] = ()) -> Exemption:
    of_parts = [frozenset(random.sample("abc", random.choice([0, 0, 1, 2]))) for _ in range(4)]
    patterns = tuple(random.sample(["bench-*", "*.sh", "?", "", "*é*", "[!a-z]*", *NAMES], random.choice([0, 0, 1, 2])))
    return Exemption(*of_parts, patterns, frozenset(random.sample(rules, random.randint(0, len(rules)))))
