"""Messages of Jupyter's protocol as they lie on the wire."""

import hmac
import json
from typing import NamedTuple

from jupyter_client.session import Session

DELIMITER = b"<IDS|MSG>"


class Message(NamedTuple):
    """The frames of a message: the identities of its client, the signature, and the rest."""

    identities: list[bytes]
    signature: bytes
    # Header, parent header, metadata, content, and buffers.
    frames: list[bytes]

    @property
    def header(self) -> dict:
        return json.loads(self.frames[0])

    @property
    def parent_id(self) -> str | None:
        return json.loads(self.frames[1]).get("msg_id")

    @property
    def content(self) -> dict:
        return json.loads(self.frames[3])

    def multipart(self) -> list[bytes]:
        return [*self.identities, DELIMITER, self.signature, *self.frames]


def read_message(multipart: list[bytes]) -> Message:
    """Splits a message. Raises a ValueError if it is not one of Jupyter's protocol."""
    place = multipart.index(DELIMITER)
    identities, (_, signature, *frames) = multipart[:place], multipart[place:]
    if len(frames) < 4:
        raise ValueError(f"Reading a message: it must have 4 parts, found {len(frames)}.")
    return Message(identities, signature, frames)


class Signer:
    """Checks, changes and makes signed messages."""

    def __init__(self, key: str, scheme: str) -> None:
        self._session = Session(key=key.encode(), signature_scheme=scheme)

    def is_genuine(self, message: Message) -> bool:
        return hmac.compare_digest(self._session.sign(message.frames[:4]), message.signature)

    def with_content(
        self, message: Message, content: dict, metadata: dict | None = None
    ) -> Message:
        """Returns a message with another content, and metadata besides its own."""
        header, parent, old, _, *buffers = message.frames
        if metadata is not None:
            old = encode({**json.loads(old), **metadata})
        frames = [header, parent, old, encode(content)]
        return Message(message.identities, self._session.sign(frames), [*frames, *buffers])

    def make(
        self, kind: str, content: dict, parent: dict, identities: list[bytes] | None = None
    ) -> Message:
        """Makes a message in answer to a request with the header `parent`."""
        message = self._session.msg(kind, content, parent=parent)
        return read_message(self._session.serialize(message, ident=identities))


def encode(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
