"""Keys that a reload can take up are taken up; the others are named in the answer, in the log and by a metric."""

from tests.faults.reloading import clients, log, reload, tried
from tests.lab.ports import free_port
from tests.scenarios.site import Site

NEEDED = "hpc_aggregator_config_restart_needed"


def needed(site: Site) -> set[str]:
    return {dict(labels)["key"] for labels in site.samples_of(NEEDED)}


def test_what_can_be_taken_up_is(site: Site) -> None:
    site.job(500)
    site.start()
    assert site.service.data("/api/v1/status")["external_url"] is None
    site.config["server"]["external_url"] = "https://hpc.example.org/"
    site.config["log"] = {"format": "json", "level": "debug"}
    with clients(site) as asking:
        assert reload(site) == "Reloaded.\n"
    assert asking.failures == []
    assert needed(site) == set()
    assert site.service.data("/api/v1/status")["external_url"] == "https://hpc.example.org/"
    site.wait(lambda: '"msg": "configuration reloaded' in log(site), "a line of the log in its new form")

    site.config["log"] = {"level": "error"}
    reload(site)
    del site.config["server"]["external_url"]
    reload(site)
    assert site.service.data("/api/v1/status")["external_url"] is None
    assert log(site).count("configuration reloaded") == 1, "later ones are below the level"


def test_what_needs_a_restart_is_named_until_it_is_as_it_was(site: Site) -> None:
    site.job(500)
    site.start()
    url, address = site.config["state"]["url"], site.config["server"]["listen_address"]
    site.config["state"]["url"] = f"sqlite:///{site.root}/another.db"
    site.config["server"]["listen_address"] = f"127.0.0.1:{free_port()}"
    answer = "Reloaded.\nneeds a restart: server.listen_address\nneeds a restart: state.url\n"
    assert reload(site) == answer
    assert reload(site) == answer, "it is needed as long as it has not come"
    assert needed(site) == {"server.listen_address", "state.url"}
    assert "needs a restart: key=state.url" in log(site)
    assert site.value("hpc_aggregator_config_last_reload_successful") == 1.0
    tried(site)
    assert not (site.root / "another.db").exists()

    site.config["state"]["url"], site.config["server"]["listen_address"] = url, address
    assert reload(site) == "Reloaded.\n"
    assert needed(site) == set()
