"""Studies: many trainings of one base job, compared on the same validation queries."""
