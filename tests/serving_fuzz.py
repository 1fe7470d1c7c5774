"""Thousands of requests that schemathesis makes from the OpenAPI document: no 5xx, no path told.

    python tests/serving_fuzz.py --schemathesis VENV/bin/schemathesis --examples 300

schemathesis is no dependency: install it into an environment of its own. pytest does not collect
this. It serves a shop of its own on a free port, with and without the routes that write.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from served_process import served
from served_shop import made_shop

_HOOKS = """
import json, os
import schemathesis

@schemathesis.hook
def after_call(context, case, response):
    text = response.text
    leaks = [one for one in os.environ["SECRETS"].split(os.pathsep) if one in text]
    line = {"status": response.status_code, "route": case.operation.path, "leaks": leaks}
    if leaks or response.status_code >= 500:
        line["body"], line["sent"] = text[:500], repr(case.body)[:500]
    with open(os.environ["TALLY"], "a") as file:
        file.write(json.dumps(line) + "\\n")
"""


def main() -> int:
    """Run schemathesis against a service; 1 if an answer was a 5xx or named a path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schemathesis", required=True)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rankfield-fuzz-") as folder:
        root = Path(folder)
        made_shop(root)
        tally, hooks = root / "tally.jsonl", root / "serving_hooks.py"
        hooks.write_text(_HOOKS)
        secrets = os.pathsep.join([folder, str(Path.home()), sys.prefix, "Traceback"])
        environment = {
            **os.environ, "TALLY": str(tally), "SECRETS": secrets, "PYTHONPATH": folder,
            "SCHEMATHESIS_HOOKS": "serving_hooks",
        }  # fmt: skip
        with served(root, "--data", str(root / "data")) as url:
            words = [
                options.schemathesis, "run", f"{url}/openapi.json", "--checks",
                "not_a_server_error,content_type_conformance,unsupported_method",
                "--max-examples", str(options.examples), "--seed", str(options.seed),
                "--phases", "examples,coverage,fuzzing", "--continue-on-failure",
                "--suppress-health-check", "all",
            ]  # fmt: skip
            code = subprocess.run(words, env=environment, cwd=folder, check=False).returncode
        lines = [json.loads(line) for line in tally.read_text().splitlines()]
    statuses = Counter(line["status"] for line in lines)
    bad = [line for line in lines if line["leaks"] or line["status"] >= 500]
    for line in bad[:20]:
        print(json.dumps(line))
    print(f"{len(lines):,} cases, statuses {dict(sorted(statuses.items()))}, {len(bad)} bad")
    return int(bool(bad) or not lines or code not in (0, 1))


if __name__ == "__main__":
    sys.exit(main())
