"""What TrailblazingTurtle's pages ask of Prometheus, and how our API answers the same: one module per page."""
