"""The reports of usage: sums by account and by user, with cost."""
