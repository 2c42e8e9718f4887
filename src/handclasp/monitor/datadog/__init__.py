"""The check for the Datadog Agent, as a file that is copied into it: nothing here imports it."""
