"""Write every board to a folder (rules/dashboards)."""

import argparse
import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from boards import account, energy, job, nodes, service, site, storage, user, waste
from boards.frame import build

BOARDS = (site.BOARD, waste.BOARD, account.BOARD, user.BOARD, job.BOARD, nodes.BOARD, storage.BOARD, energy.BOARD,
          service.BOARD)  # fmt: skip


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "rules" / "dashboards")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for each in BOARDS:
        text = json.dumps(build(each), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / f"{each.name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
