"""The models page, and the chosen model with its plan.

`control` and `selection` hold what is there and what is chosen, without widgets; the rest is views.
Plans are made in `app.planning`.
"""
