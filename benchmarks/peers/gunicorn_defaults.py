"""Nothing but gunicorn's defaults: named no file, it would take Holdfast's own."""
