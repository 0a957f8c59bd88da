"""Static files whose names contain a hash of their content, so browsers cache them forever."""

from __future__ import annotations

from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # has no types
    """Also puts the hash into the names of modules that scripts import.

    So a page never mixes modules of two versions, however long a browser caches them.
    """

    support_js_module_import_aggregation = True
