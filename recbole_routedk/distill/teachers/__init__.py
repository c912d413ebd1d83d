"""Teachers behind one protocol: the embedded statistical one, OpenAI-compatible endpoints, local models."""
