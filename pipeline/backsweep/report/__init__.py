"""Tables and pages of a finished sweep; the only stage that draws, and only when a report is made."""
