"""Views and class activation maps as PNG."""

import asyncio
from io import BytesIO

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool

from triage.core.activation import CoarseMap
from triage.core.reasons import Code
from triage.errors import ViewUnreadable
from triage.model.cam import layer, upscale
from triage.pipeline.overlay import QUICK
from triage.pipeline.pictures import DECODERS, Pictures, Shelf
from triage.pipeline.wire import Picture
from triage.store.images import StoredImage
from triage.store.spool import Spool

KEPT = 64 << 20  # bytes of PNG; of 50 views as a page shows them at first
AT_ONCE = DECODERS + 1  # pictures in hand, whose pixels are in memory; one is packed meanwhile
MAP_SIDE = 512  # pixels; a map has 7 cells, and a browser scales it up as smoothly as we do


class Gallery:
    """Makes the pictures of one web process, a few at a time, and keeps the last ones."""

    def __init__(self) -> None:
        self._pictures = Pictures()
        self._shelf = Shelf(KEPT)
        self._room = asyncio.Semaphore(AT_ONCE)

    def close(self) -> None:
        """End the processes that decode."""
        self._pictures.close()

    async def view(self, spool: Spool, image: StoredImage, frame: int, side: int) -> bytes:
        """Return a frame as the scorer saw it, as PNG of *side* pixels at most.

        Raises ViewUnreadable, or DecodersUnavailable.
        """
        if image.deleted_at is not None:
            raise ViewUnreadable(
                Code.PIXELS_DELETED, "its pixel data was deleted after the study was read"
            )
        key = image.digest, frame, side
        if (kept := self._shelf.get(key)) is not None:
            return kept
        async with self._room:
            picture = await self._read(spool, image, frame, side)
            made = await run_in_threadpool(_png, picture)
        self._shelf.put(key, made)
        return made

    async def map(
        self, spool: Spool, image: StoredImage, frame: int, stored: CoarseMap, full: float
    ) -> bytes:
        """Return a map, to be laid over its view, as a PNG with opacity.

        Its sides are in the proportion of the view's. Raises as `view` does.
        """
        with Image.open(BytesIO(await self.view(spool, image, frame, MAP_SIDE))) as view:
            width, height = view.size
        return await run_in_threadpool(_map_png, stored, (height, width), full)

    async def _read(self, spool: Spool, image: StoredImage, frame: int, side: int) -> Picture:
        path = spool.path(image.digest)
        if not path.is_file():
            raise ViewUnreadable(Code.FILE_MISSING, "its file has left the spool")
        return await asyncio.wrap_future(self._pictures.read(path, frame, side))


def _png(picture: Picture) -> bytes:
    grey = np.frombuffer(picture.pixels, np.uint8).reshape(picture.rows, picture.columns)
    return _packed(Image.fromarray(grey))


def _map_png(stored: CoarseMap, shape: tuple[int, int], full: float) -> bytes:
    return _packed(Image.fromarray(layer(upscale(stored, shape), full)))


def _packed(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", compress_level=QUICK)
    return file.getvalue()
