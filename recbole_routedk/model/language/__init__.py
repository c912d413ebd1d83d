"""Models that answer with a language model: one student, many ways to give it knowledge."""
