"""Where results go: Prometheus, DogStatsD, the Datadog Agent, OpenTelemetry, JSON lines."""
