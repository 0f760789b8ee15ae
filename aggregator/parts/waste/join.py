"""Which jobs waste what they hold?"""

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.model.job_inputs import Use
from aggregator.parts.waste.observation import observation
from aggregator.parts.waste.rules import Compiled


def join_waste(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Judge all jobs; without rules none is."""
    compiled = inputs.get(Compiled)
    if compiled is None:
        return {}
    findings = compiled.findings(frames["jobs"], blind=observation(inputs.get(Use)).is_blind)
    return {"waste": findings, "waste_rules": compiled.words()}
