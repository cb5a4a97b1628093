"""Code nodes: a Python process of their own, with limits. It contains runaway code, not malicious code."""
