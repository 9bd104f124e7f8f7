"""`python -m bench [NAME ...]`: run the named measurements, or all of them."""

import importlib
import sys

NAMES = ("throughput", "stock_faust", "latency", "restore", "codec", "chain", "book", "audit")


def main() -> None:
    """Run what the command line names."""
    if len(sys.argv) > 1:
        importlib.import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
        return
    for name in NAMES:
        print(f"== {name}")
        importlib.import_module(f"bench.{name}").main([])


if __name__ == "__main__":
    main()
