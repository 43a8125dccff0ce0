"""The Speed page: the machine's profile, predictions beside what happened, diagnosis."""
