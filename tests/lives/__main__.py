"""`python -m tests.lives`: write docs/lives.md anew, from the lives that the test plays."""

from tests.lives.page import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
