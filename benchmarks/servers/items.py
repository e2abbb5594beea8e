"""The checked document for frameworks that leave the choice of a checker to the author."""

import msgspec


class Item(msgspec.Struct):
    """The document that `POST /items` accepts."""

    name: str
    price: float
    tags: list[str] = []


decode_item = msgspec.json.Decoder(Item).decode
