"""Benchmarks (docs/performance.md): the reference relay against named peers, in one run, as ratios."""
