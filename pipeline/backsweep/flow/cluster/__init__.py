"""A sweep handed to a Ray elsewhere: the job, its driver there, what the two tell each other by the store."""
