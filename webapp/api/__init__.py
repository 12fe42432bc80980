"""The JSON door: the same verbs as the pages, for programs."""
