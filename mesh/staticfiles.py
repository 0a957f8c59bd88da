"""How the pages' files are named and kept: by a hash of their content, for ever."""

from __future__ import annotations

from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # has no types
    """Also names the modules that scripts import by their hash.

    So a page never mixes modules of two versions, however long a browser keeps them.
    """

    support_js_module_import_aggregation = True
