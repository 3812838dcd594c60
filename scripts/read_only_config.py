"""JupyterLab's configuration for `deno task lab --read`: notebooks that can run, but not change."""

import os

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError


class ReadOnlyContentsManager(AsyncLargeFileManager):
    """Files that JupyterLab shows as read-only. It neither saves them by itself nor asks to.

    File modes would not do: they change the files, and root ignores them.
    """

    def is_writable(self, path):
        return False

    async def save(self, model, path=""):
        raise HTTPError(
            403,
            "The notebooks of the course are open to read. To work in copies of your own, "
            f"start with {os.environ['RESNET_LAB_COMMAND']}",
        )

    async def rename_file(self, old_path, new_path):
        await self.save({}, old_path)

    def mark_trusted_cells(self, nb, path=""):
        # HTML outputs are shown in full only in trusted notebooks. These are the project's own.
        self.notary.mark_cells(nb, True)


c.ServerApp.contents_manager_class = ReadOnlyContentsManager  # noqa: F821 (c is the configuration)
