"""The jars of Apache Kafka for the development broker: what the committed pom names, fetched once by Maven."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from bourse.cli.console import note
from bourse.cli.errors import CliError
from bourse.settings import PROJECT_ROOT

POM = PROJECT_ROOT / "deploy" / "broker" / "pom.xml"


def fetch_jars(jars: Path) -> Path:
    """Fetch what the committed pom names into the folder, unless that was done before for the same pom."""
    if not POM.is_file():
        msg = f"{POM} is missing: the development broker works from a checkout of the project."
        raise CliError(
            msg, "Use `docker compose up -d kafka`, or set BOURSE_BROKER to a Kafka that you have."
        )
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    mark = jars / "pom.sha256"
    jars.parent.mkdir(parents=True, exist_ok=True)
    with jars.with_name(jars.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (mark.is_file() and mark.read_text() == wanted):
            _copy_dependencies(jars)
            mark.write_text(wanted)
    return jars


def _copy_dependencies(jars: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        msg = "Maven (`mvn`) is needed once, to fetch Apache Kafka, and is not installed."
        raise CliError(
            msg,
            "Install it (`apt install maven`, `brew install maven`), or run Kafka another way "
            "(`docker compose up -d kafka`) and set BOURSE_BROKER=127.0.0.1:9092.",
        )
    note("Fetching Apache Kafka from Maven Central, once (about 43 MB) ...")
    draft = jars.with_name(jars.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    goal = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
    result = subprocess.run(goal, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        last = "\n".join((result.stdout + result.stderr).strip().splitlines()[-5:])
        msg = f"Maven could not fetch Apache Kafka:\n{last}"
        raise CliError(msg, f"Check that Maven Central can be reached, then try again: {' '.join(goal)}")
    shutil.rmtree(jars, ignore_errors=True)
    draft.rename(jars)
