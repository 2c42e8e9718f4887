"""Alerts: who is told of a change of state, in which form, and how it gets there.

    message (what happened) -> webhook, slack, pagerduty, alertmanager, mail (its forms; pure) -> post, smtp (ways out)

``dispatch`` joins the three for one receiver; ``sender`` works off the outbox that the store keeps.
"""
