"""The exporters of the lab, one module each: their exact pages for the jobs that really run."""
