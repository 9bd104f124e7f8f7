"""A worker that writes neither order events nor the wallet log: for comparing with flows that have the six topics only.

`python -m bench.six_topics worker --id NAME` is `bourse worker` but for that; only measurements start it. A wallet
transaction that another stage needs is still handed over.
"""

from collections.abc import Iterable

from bourse.agents.runner import StageRunner
from bourse.cli.main import main
from bourse.pipeline.outputs import Output, Topic
from bourse.streaming.frames import Frame

LEFT_OUT = frozenset({Topic.ORDER_EVENTS, Topic.WALLET_TRANSACTIONS})


class SixTopicsRunner(StageRunner):
    """Takes frames through one stage, and keeps the two logs to itself."""

    def _send(self, frame: Frame, outputs: Iterable[Output]) -> None:
        super()._send(frame, [output for output in outputs if self._is_written(output)])

    def _is_written(self, output: Output) -> bool:
        hand_over = self._routes[output[0]].is_handed_over
        return output[0] not in LEFT_OUT or (hand_over is not None and hand_over(output[2]))


if __name__ == "__main__":
    import bourse.agents.build

    bourse.agents.build.StageRunner = SixTopicsRunner  # type: ignore[attr-defined]
    main()
