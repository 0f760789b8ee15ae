"""The page of a job shows the advice that the API gives."""

from tests.unit.api.conftest import Service
from tests.unit.api.test_api_advice import NEW, NOW, ended, record, serve

JOB = "/ui/clusters/narval/jobs/101"


async def test_lines_to_change_and_similar_runs_are_those_of_the_api(service: Service) -> None:
    serve(service, *(ended(job_id) for job_id in range(1, 9)), ended(9, name="other"))
    await service.state.scripts.save("narval", [record(101, NEW)], NOW)
    text = await (await service.get(JOB)).text()
    assert "#SBATCH --mem=<del>8G</del> <ins>3G</ins>" in text
    assert "#SBATCH --time=<del>1-00:00:00</del> <ins>01:15:00</ins>" in text
    assert "9 of 9 would have fitted" in text
    assert "8 runs of this name in 30 days" in text
    assert '/jobs/9"' not in text


async def test_without_a_line_to_change_the_page_says_so(service: Service) -> None:
    serve(service, use={})
    text = await (await service.get(JOB)).text()
    assert "Nothing: what it asks for fits what has been measured, or too little has been." in text
