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


def ask(text):
    """The answers' element in what the browser made of the page, or None."""
    with tempfile.TemporaryDirectory(prefix="tenon-page-", ignore_cleanup_errors=True) as work:
        asking = pathlib.Path(work) / "page.html"
        asking.write_text(text)
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--window-size=1200,900", f"--user-data-dir={work}/profile", "--dump-dom", asking.as_uri()]
        try:
            dom = subprocess.run(command, capture_output=True, text=True, timeout=80)
        except subprocess.TimeoutExpired:
            return None
    found = re.search(r'<pre id="answers">(.*?)</pre>', dom.stdout)
    if not found:
        print(dom.stderr[-1000:])
    return found


def main():
    page, commands = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    # Chromium reserves more address space than tests may have.
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    found = None
    for attempt in range(3):  # a browser on a busy machine may give up before it has begun
        found = found or ask(page.read_text().replace("</body>", QUESTIONS + "</body>"))
    assert found, "no answer from the browser"
    answers = json.loads(found.group(1))
    print(answers)
    assert answers["loaded"] == 0, "the page fetched something"
    assert answers["rows"] == answers["boxes"] == commands
    assert answers["edges"] >= commands - 1, "commands that nothing leads to"
    assert answers["circles"] > 0 and answers["inside"] and all(answers["inside"]), "something is drawn outside"
    assert not answers["wide"], "wider than the window"


if __name__ == "__main__":
    main()
