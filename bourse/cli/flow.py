"""Draw the flow: `docs/flow.md`, written from `bourse/pipeline/flow.py`, so that the picture cannot be out of date.

Run `python -m bourse.cli.flow` after a change of the flow; `--check` writes nothing and exits with 1 where the committed
file differs. Decides how the map looks; refuses to know what is on it.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bourse.pipeline.flow import STAGES, TOPICS, Hop, Keyed, Stage, TopicDefinition, hops, problems

TARGET: Final = Path(__file__).parents[2] / "docs" / "flow.md"

_HEAD: Final = """\
# The flow

Written by `python -m bourse.cli.flow` from `bourse/pipeline/flow.py`: change that, not this.

Stages are boxes, topics are the words on arrows. A thick arrow keeps its key: the record is handed over in memory inside
the same transaction, and written to its topic too. A thin arrow changes its key and goes through Kafka. A dotted arrow
comes from outside.
"""


def render() -> str:
    """Return the text of `docs/flow.md`."""
    return "\n".join([_HEAD, *_diagram(), "", *_stage_table(), "", *_topic_table(), ""])


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "flowchart LR"
    for keyed, title in ((Keyed.ACCOUNT, "account side"), (Keyed.SYMBOL, "symbol side")):
        yield f'  subgraph {keyed.name.lower()}["{title}"]'
        yield from (f"    {stage.name}" for stage in STAGES if stage.keyed is keyed)
        yield "  end"
    yield from map(_hop_arrow, hops())
    yield from (arrow for topic in TOPICS.values() for arrow in _arrows_from_outside(topic))
    yield "```"


def _hop_arrow(hop: Hop) -> str:
    arrow = "==>" if hop.handed_over else "-->"
    return f"  {hop.writer} {arrow}|{hop.topic}| {hop.reader}"


def _arrows_from_outside(topic: TopicDefinition) -> Iterator[str]:
    """Yield the arrows that come in from outside; what people read is in the table."""
    stages = {stage.name for stage in STAGES}
    if stages.isdisjoint(topic.written_by):
        for reader in topic.read_by:
            if reader in stages:
                yield f"  {_node(topic.written_by)} -.->|{topic.name}| {reader}"


def _node(writers: tuple[str, ...]) -> str:
    return f"{writers[0].replace(' ', '_')}([{', '.join(writers)}])"


def _stage_table() -> Iterator[str]:
    yield "## Stages"
    yield ""
    yield "In the order in which they see an announcement. The letter marks a stage's records in `event_id`s."
    yield ""
    yield "| stage | letter | keyed by | reads | writes | tables it writes | what it decides |"
    yield "|---|---|---|---|---|---|---|"
    yield from map(_stage_row, STAGES)


def _stage_row(stage: Stage) -> str:
    reads = _code(read.topic for read in stage.reads)
    cells = (
        stage.name,
        f"`{stage.letter}`",
        stage.keyed,
        reads,
        _code(stage.writes),
        _code(stage.tables),
        stage.doc,
    )
    return f"| {' | '.join(cells)} |"


def _topic_table() -> Iterator[str]:
    yield "## Topics"
    yield ""
    yield "| topic | key | record | written by | read by | what it is |"
    yield "|---|---|---|---|---|---|"
    yield from map(_topic_row, TOPICS.values())


def _topic_row(topic: TopicDefinition) -> str:
    key = topic.key_field or str(topic.keyed)
    kept = f"{key}, compacted" if topic.compacted else key
    writers, readers = ", ".join(topic.written_by), ", ".join(topic.read_by)
    cells = (f"`{topic.name}`", kept, topic.record_type.__name__, writers, readers, topic.doc)
    return f"| {' | '.join(cells)} |"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: Sequence[str], target: Path = TARGET) -> int:
    """Write `docs/flow.md`, or with --check compare it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bourse.cli.flow", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if docs/flow.md is stale"
    )
    checks_only = parser.parse_args(arguments).check
    wrong = problems()
    if wrong:
        sys.stderr.writelines(f"{problem}\n" for problem in wrong)
        return 1
    if not checks_only:
        target.write_text(render(), encoding="utf-8")
        return 0
    if target.is_file() and target.read_text(encoding="utf-8") == render():
        return 0
    sys.stderr.write(f"{target} is stale: run python -m bourse.cli.flow\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
