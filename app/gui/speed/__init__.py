"""The Speed page: the machine's profile, predictions beside what happened, diagnosis.

Draws what `app.session.speed_report` tells; measures nothing.
"""
