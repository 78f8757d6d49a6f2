"""A participant at the web page."""

import re

from playwright.sync_api import Locator
from playwright.sync_api import Page as Tab

from tests.page.browser import Visitor
from tests.participants.base import Participant, ShownMessage
from tests.program import Program


class Page(Participant):
    _BY = re.compile(r"^(.+)\s\d\d:\d\d$", re.MULTILINE)

    def __init__(self, server: Program, name: str, page: Tab):
        super().__init__(server, name)
        self.visitor = Visitor(page, f"http://127.0.0.1:{server.port}")

    def join(self) -> None:
        self.visitor.join(self.login)

    def leave(self) -> None:
        self.visitor.leave()

    def say(self, text: str) -> None:
        self.visitor.say(text, to="")

    def tell(self, name: str, text: str) -> None:
        self.visitor.say(text, to=name)

    def listen(self, seconds: float) -> None:
        self.visitor.page.evaluate("() => new Promise(requestAnimationFrame)")

    def shown(self) -> list[ShownMessage]:
        return [each for region in self.visitor.regions.all() for each in self._read(region)]

    def _read(self, region: Locator) -> list[ShownMessage]:
        private = region.get_attribute("aria-label") != "Everyone"
        pieces = self._BY.split(region.get_by_role("log").inner_text())
        return [ShownMessage(sender, text, private)
                for sender, said in zip(pieces[1::2], pieces[2::2], strict=True) for text in said.split("\n") if text]

    def people(self) -> set[str]:
        return set(self.visitor.users.get_by_role("option").all_inner_texts()[1:])

    def departures(self, name: str) -> int:
        return self.visitor.log().get_by_text(f"{name} left", exact=True).count()

    def close(self) -> None:
        self.visitor.part()
        assert not self.visitor.errors, self.visitor.errors
