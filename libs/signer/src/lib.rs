//! What Keeper and Cooler share: pipeline, policy, watermark, store, wiring and the server around them.
