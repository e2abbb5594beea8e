"""Controllers in classes, found by a scan; their methods are `async def`."""

from __future__ import annotations

from tarry import Groups, any_of, controller, get


@controller("/obj", singleton=True, args=["#my-ctr"], kwargs={"description": "desc"})
class Singleton:
    """One object for all requests."""

    def __init__(self, name, description):
        self.name = name
        self.description = description
        self.count = 0

    @get("/hello")
    async def hello(self):
        return f"ctr object[{self.name}]:{self.description}"

    @get("/hello2")
    async def hello2(self, name: str, i: list[int]):
        return {"name": name, "sum": sum(i), "i": i}

    @get("/count")
    async def counted(self):
        self.count += 1
        return self.count


@controller
class Expressions:
    """Regular expressions match the whole path, whatever class they stand in."""

    @get(regexp="/reg/([0-9]+)-([a-z]*)")
    async def groups(self, groups: Groups):
        return list(groups)


@controller("/page/index", params=any_of("a=b", "a=c"))
class Page:
    """Narrowed by the class and by its methods."""

    @get
    async def page(self):
        return "page"

    @get(params=any_of("edit", "mode^=edit"))
    async def edited(self):
        return "edited"
