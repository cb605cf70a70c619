"""The outbound doors: UponAI's own paths under /gate/, for backends and for web pages."""
