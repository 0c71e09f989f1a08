"""A listing whose rows are found by a regular expression instead of the language of nouns."""

from __future__ import annotations

import re

from foundry_tui.tui.screens.listing import Listing


class Searched(Listing):
    """`_pattern` is what is typed behind `/`; the subclass leaves out the rows without it."""

    def __init__(self) -> None:
        super().__init__()
        self._pattern = ""

    def do_filter(self) -> None:
        before = self._pattern

        def done(text: str) -> None:
            if not self._try_filter(text):
                self.do_filter()
                self.prompt.retype(text)

        self.prompt.ask(
            "/", before, changed=self._preview, done=done, left=lambda: self._preview(before)
        )

    def _try_filter(self, text: str) -> bool:
        try:
            re.compile(text)
        except re.error as error:
            self.note([(f" no regular expression: {error}", "warn")])
            return False
        self.note([])
        self._pattern = text
        self.retell()
        self._fit()
        return True

    def _fit(self) -> None:
        """Give the columns the width that the rows need now."""
        for _, table in self._tables():
            table.choose_columns(table.state.columns)

    def do_back(self) -> None:
        if self._pattern:
            self._try_filter("")
        else:
            self.foundry.do_back()
