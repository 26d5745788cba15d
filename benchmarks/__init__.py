"""Benchmarks of a real broker, beside what they are measured against; run by scripts/bench.sh."""
