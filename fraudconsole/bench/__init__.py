"""`make bench`: what things cost, as ratios to a named floor or peer measured in the same run.

The console never imports it, and nothing here decides whether a test passes.
"""
