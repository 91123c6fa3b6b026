//! The NATS connection of a workload: request, reply and queue groups for sealed envelopes.
