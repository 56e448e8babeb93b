"""Loads a page of `tenon explain --html` in headless Chromium and asks it what it drew.

    check_page.py PAGE COMMANDS
"""

import json
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

QUESTIONS = """<script>
const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
const drawn = (svg, what) => [...svg.querySelectorAll(what)].map(e => inside(e.getBoundingClientRect(), svg.getBoundingClientRect()));
const roof = document.getElementById('roofline'), graph = document.getElementById('graph');
const answers = {
  loaded: performance.getEntriesByType('resource').length,
  rows: document.querySelectorAll('#commands tbody tr').length,
  boxes: graph.querySelectorAll('g').length,
  edges: graph.querySelectorAll('.edge').length,
  inside: [...drawn(roof, 'circle'), ...drawn(roof, 'text'), ...drawn(graph, 'rect'), ...drawn(graph, 'text')],
  circles: roof.querySelectorAll('circle').length,
  wide: document.documentElement.scrollWidth > innerWidth,
};
document.body.innerHTML = '<pre id="answers">' + JSON.stringify(answers) + '</pre>';
</script>"""


def main():
    page, commands = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    # Chromium reserves more address space than tests may have.
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="tenon-page-") as work:
        asking = pathlib.Path(work) / "page.html"
        asking.write_text(page.read_text().replace("</body>", QUESTIONS + "</body>"))
        dom = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900",
             f"--user-data-dir={work}/profile", "--dump-dom", asking.as_uri()],
            capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="answers">(.*?)</pre>', dom.stdout)
    assert found, dom.stderr[-2000:]
    answers = json.loads(found.group(1))
    print(answers)
    assert answers["loaded"] == 0, "the page fetched something"
    assert answers["rows"] == answers["boxes"] == commands
    assert answers["edges"] >= commands - 1, "commands that nothing leads to"
    assert answers["circles"] > 0 and answers["inside"] and all(answers["inside"]), "something is drawn outside"
    assert not answers["wide"], "wider than the window"


if __name__ == "__main__":
    main()
