"""Rerankers, one file a kind. Its function ``open_reranker(model, options)`` loads one; `rerank.registry` lists them.

A file with a ``SPEC`` besides is a reranker that needs no model files. Files are imported when they are used, because
torch takes seconds to import.
"""
