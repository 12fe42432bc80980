"""Holdfast's list page as a Django project: contrib.auth, a model, a template."""
