"""The app of this process, for Faust's own command line: `faust -A bourse.agents.app worker`."""

from bourse.agents.build import create_app
from bourse.settings import Settings

app = create_app(Settings.read())
