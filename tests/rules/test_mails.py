"""The mail to a user's support as it arrives: rules, routes and texts as shipped, through a real Alertmanager."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.config import active_rules, load_rules
from tests.lab.alertmanager import AlertmanagerServer, Inbox
from tests.lab.hasten import hasten
from tests.lab.mailbox import Mailbox
from tests.lab.ports import LOOPBACK
from tests.lab.process import wait_until
from tests.rules.files import ALERTMANAGER
from tests.rules.telling import FACTOR, HOSTILE, Exposition, job, waste

GOLDEN = Path(__file__).parent / "golden"
# Of the rules in these tests, as the service shows them.
WORDS = ("gpu_unused", "memory_overrequested", "cpu_low")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    receiving = Mailbox()
    receiving.start()
    yield receiving
    receiving.stop()


@pytest.fixture
def alertmanager(tmp_path: Path, mailbox: Mailbox, inbox: Inbox) -> Iterator[AlertmanagerServer]:
    """Send mail to the mailbox, and what goes to web hooks to the inbox."""
    example: Any = hasten(yaml.safe_load(ALERTMANAGER.read_text()), FACTOR)
    example["global"] |= {"smtp_smarthost": f"{LOOPBACK}:{mailbox.port}", "smtp_require_tls": False}
    for receiver in example["receivers"]:
        receiver["webhook_configs"] = [{"url": inbox.url(receiver["name"])}]
    started = AlertmanagerServer(tmp_path, example)
    started.start()
    yield started
    started.stop()


def words() -> Iterator[str]:
    """Write what the shipped rules tell people."""
    for rule in active_rules(load_rules()):
        if rule.name in WORDS:
            texts = f'reason="{rule.name}",resource="{rule.resource}",message="{rule.message}",fix="{rule.fix}"'
            yield f'hpc_waste_rule_info{{cluster="lab",{texts}}} 1'


def as_text(mailbox: Mailbox) -> str:
    """Write the one mail: its subject and its text; it has no other part."""
    (mail,) = mailbox.mails
    (part,) = mail.iter_parts()
    assert part.get_content_type() == "text/plain"
    return f"To: {mail['To']}\nSubject: {mail['Subject']}\n\n{part.get_content().strip()}\n".replace("\r\n", "\n")


def compare(text: str, name: str, update: bool) -> None:
    golden = GOLDEN / f"{name}.txt"
    if update:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), "run pytest tests/rules/test_mails.py --update-golden"


@pytest.mark.usefixtures("prometheus")
def test_all_that_a_user_s_jobs_waste_is_one_mail_whatever_its_severity(
    page: Exposition, inbox: Inbox, mailbox: Mailbox, update_golden: bool
) -> None:
    page.lines = [
        *words(),
        *job(4711, "alice", HOSTILE, wasted_gpus=2, gpu_idle_seconds=7500, wasted_cpus=3.5, allocated_cpus=16),
        'hpc_job_allocated_gpus{cluster="lab",slurmjobid="4711",user="alice",account="def-a",gpu_type="a100"} 2',
        'hpc_job_energy_joules_total{cluster="lab",slurmjobid="4711",user="alice",account="def-a"} 5.4e6',
        waste(4711, "alice", severity="critical"),
        *job(4712, "alice", "reader", ("array_job_id", "4700"), ("array_task_id", "3"), wasted_memory_bytes=2**35),
        waste(4712, "alice", "memory_overrequested"),
        *job(4713, "alice", ". a point\n.\nQUIT", ("het_job_id", "4712"), ("het_job_offset", "1"), wasted_cpus=0.2),
        waste(4713, "alice", "own_rule"),
    ]
    wait_until(lambda: bool(mailbox.mails), 60, "the mail")
    # The web hook is of the same group: had there been two, it would have two.
    wait_until(lambda: bool(inbox.delivered(user="alice")), 60, "the web hook")
    assert len(inbox.delivered(user="alice")) == 1
    compare(as_text(mailbox), "mail_jobs", update_golden)


@pytest.mark.usefixtures("prometheus")
def test_many_jobs_are_a_mail_with_each_reason_once(page: Exposition, mailbox: Mailbox, update_golden: bool) -> None:
    owner = 'cluster="lab",user="carol",account="def-a"'
    page.lines = [
        *words(),
        f'hpc_user_waste_jobs{{{owner},reason="cpu_low",severity="warning"}} 9',
        f'hpc_user_waste_jobs{{{owner},reason="cpu_low",severity="critical"}} 3',
        f'hpc_user_waste_jobs{{{owner},reason="gpu_unused",severity="critical"}} 1',
        f"hpc_user_wasted_cpus{{{owner}}} 1234.56",
        f"hpc_user_wasted_gpus{{{owner}}} 0.04",
        *(line for number in range(12) for line in job(number, "carol", "many")),
        *(waste(number, "carol", "cpu_low", "critical" if number < 3 else "warning") for number in range(12)),
    ]
    wait_until(lambda: bool(mailbox.mails), 60, "the mail")
    compare(as_text(mailbox), "mail_bulk", update_golden)


def test_no_golden_mail_is_left_over() -> None:
    named = re.findall(r'compare\(as_text\(mailbox\), "(\w+)"', Path(__file__).read_text())
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(named)
