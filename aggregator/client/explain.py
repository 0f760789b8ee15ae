"""`explain ID`: every rule with what it compares, and every value with the query that made it."""

import argparse

from aggregator.client.explain_text import explanation_text
from aggregator.client.output import Command, Display, of_cluster
from aggregator.client.screen import Screen
from aggregator.client.service import Api, Call, named


def explain_command(flags: argparse.Namespace, service: Api) -> Command:
    """Explain one job. Its lines are as long as their queries, to be copied."""
    asked = Call(of_cluster(service, f"/jobs/{named(flags.job)}/explain"))

    def draw() -> Display:
        answer = service.ask(asked)
        text = explanation_text(answer.data)

        def write(screen: Screen) -> None:
            for line in text.splitlines():
                screen.out.write(f"{screen.safe(line)}\n")

        return Display(write, answer.warnings)

    return Command(json=lambda: service.ask(asked), draw=draw)
