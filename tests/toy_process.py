"""What processes do that a test starts; a module of its own, because they import it whole."""

import os
import time

from gta.errors import UserError


def one_fails(_: object) -> None:
    """The second process makes a mistake while the first waits for it."""
    if os.environ["LOCAL_RANK"] == "1":
        raise UserError("This is wrong: mend it.")
    time.sleep(600)
