"""Hours of a cluster whose jobs are labelled with what they are, and what the service must say of each."""
