"""Decompress an answer piece by piece, off the event loop: two megabytes can be two gigabytes."""

from collections.abc import AsyncIterator
from typing import Final

from isal import isal_zlib
from isal.igzip_lib import IsalError

from aggregator import executors

# Decompressed, and decoded, at once.
PIECE_BYTES: Final = 1 << 20
_GZIP: Final = 31  # of zlib: with gzip's header
ACCEPTED: Final = "gzip"


class CompressedError(Exception):
    """It is not compressed as it says."""


async def pieces(chunks: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """Give what an answer is, whatever its Content-Encoding, in pieces of at most PIECE_BYTES.

    Raises CompressedError.
    """
    if encoding in ("", "identity"):
        async for chunk in chunks:
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip"):
        raise CompressedError(f"compressed by {encoding:.20}, which was not asked for")
    stream = _Gzip()
    async for chunk in chunks:
        stream.feed(chunk)
        while piece := await executors.run(executors.REFRESH, stream.next):
            yield piece
    if not stream.ended:
        raise CompressedError("gzip that breaks off")


class _Gzip:
    """A gzip stream of one or more members."""

    def __init__(self) -> None:
        self._member = isal_zlib.decompressobj(_GZIP)
        self._input = b""
        self._began = False

    @property
    def ended(self) -> bool:
        """Tell whether the last member has ended."""
        return self._member.eof or not self._began

    def feed(self, chunk: bytes) -> None:
        """Take what comes next; `next` has given all of what came before."""
        self._input = chunk

    def next(self) -> bytes:
        """Decompress up to PIECE_BYTES; b"" when there is nothing more in what was fed."""
        try:
            while True:
                if self._member.eof:
                    if not self._input:
                        return b""
                    self._member = isal_zlib.decompressobj(_GZIP)
                self._began = self._began or bool(self._input)
                piece = self._member.decompress(self._input, PIECE_BYTES)
                self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                if piece or not self._input:
                    return bytes(piece)
        except (IsalError, OSError, ValueError) as error:  # type: ignore[misc]  # to its stub it is no class
            raise CompressedError("not the gzip that it says it is") from error
