"""What dlt, Sling and target-sqlite take for the work that `cargo bench --bench sync` measures.

Run by the bench with the Python that has them: JADA_BENCH_PYTHON. Prints one JSON line for each that is
installed: its name, the rows, and the processor seconds of its process and children.

    python peers.py csv FILE ROWS DIR       CSV file into a table of a new SQLite database
    python peers.py singer FILE ROWS DIR    Singer messages into the same
"""

import importlib.util
import json
import os
import pathlib
import resource
import subprocess
import sys

DLT = """
import csv, sys
import dlt
from dlt.destinations import sqlalchemy

def rows():
    with open(sys.argv[1], newline="") as file:
        yield from csv.DictReader(file)

pipeline = dlt.pipeline("peer", destination=sqlalchemy("sqlite:///" + sys.argv[2]),
                        dataset_name="main", pipelines_dir=sys.argv[3])
pipeline.run(dlt.resource(rows, name="t", primary_key="id", write_disposition="append"))
"""

# target-sqlite needs an SQLAlchemy that names things which newer Pythons have moved.
SHIM = """
import collections, collections.abc, runpy, sys
for name in collections.abc.__all__:
    setattr(collections, name, getattr(collections.abc, name))
sys.argv = ["target-sqlite", "--config", sys.argv[1]]
import target_sqlite
target_sqlite.main()
"""


def measure(name, rows, argv, check, **kwargs):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kwargs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode != 0 or not check.exists():
        print(f"{name} failed: {done.stderr[-600:].decode(errors='replace')}", file=sys.stderr)
        return
    # The largest child so far, so of those that run here the largest: in KiB.
    print(json.dumps({"name": name, "rows": rows, "cpu": cpu, "rss": after.ru_maxrss}), flush=True)


def sling():
    found = importlib.util.find_spec("sling_linux_amd64")
    if found is None or not found.submodule_search_locations:
        return None
    folder = pathlib.Path(found.submodule_search_locations[0])
    return next(iter(folder.glob("bin/sling-linux-*")), None)


def main():
    kind, file, rows, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
    env = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "SLING_DISABLE_TELEMETRY": "true",
           "HOME": str(folder)}
    if kind == "csv":
        if importlib.util.find_spec("dlt"):
            base = folder / "dlt.db"
            argv = [sys.executable, "-c", DLT, file, str(base), str(folder)]
            measure("dlt", rows, argv, base, env=env)
        if program := sling():
            base = folder / "sling.db"
            os.chmod(program, 0o755)
            argv = [str(program), "run", "--src-stream", f"file://{file}",
                    "--tgt-conn", f"sqlite://{base}", "--tgt-object", "main.t",
                    "--mode", "full-refresh"]
            measure("sling", rows, argv, base, env=env)
    elif importlib.util.find_spec("target_sqlite"):
        base, config = folder / "target.db", folder / "target.json"
        config.write_text(json.dumps({"database": str(base)}))
        with open(file, "rb") as messages:
            argv = [sys.executable, "-c", SHIM, str(config)]
            measure("target-sqlite", rows, argv, base, env=env, stdin=messages)


main()
