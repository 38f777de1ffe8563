"""The desk in a real browser, by keyboard: every page, at three widths, light and dark, hostile names, a second tab.

Run with `pytest -m browser`, as .ci/run does; skipped with a word where there is no Chromium (`apt-get install chromium`).
"""

import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from desks import run

from pipeline.review.pages.menu import PAGES
from pipeline.store.caption_files import caption_file
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"), pytest.mark.browser]
SIZES = [(400, 800), (1400, 900), (2560, 1300)]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as found:
        chromium = found.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens a desk in a tab of its own; whatever a page says in its console is a failure."""
    contexts, said = [], []

    def open_desk(desk, page="images", width=1400, height=900, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(desk.address)
        tab.wait_for_url("**/images*")
        tab.wait_for_selector(".cell .name")
        if page != "images":
            tab.goto(f"http://127.0.0.1:{desk.port}/{desk.secrets.prefix}/{page}")
        return tab

    open_desk.said = said
    yield open_desk
    for context in contexts:
        context.close()
    assert [words for words in said if not {"400", "409"} & set(words.split()) and "ERR_CONNECTION" not in words] == []


def until(tab, expression, timeout=20_000) -> None:
    """Wait for a page's state; Playwright's own way evaluates text inside the page, which the desk's policy forbids."""
    for _ in range(timeout // 50):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"never so: {expression}")


def written(tab) -> None:
    until(tab, "document.getElementById('saved').textContent.startsWith('saved · run')")


def fresh(tab) -> None:
    """Forget what is said of the last decision, so that the next one can be waited for."""
    tab.evaluate("document.getElementById('saved').textContent = ''")


def decided(desk, path, field):
    return desk.desk.read(lambda manifest: {row.field: row.value for row in manifest.decisions_of(path)}.get(field))


@pytest.mark.parametrize("page", [page.name for page in PAGES])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_or_is_wider_than_the_screen(opened, reading, page, scheme):
    for width, height in SIZES:
        tab = opened(reading, page, width, height, scheme)
        tab.wait_for_timeout(400)
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
        found = axe.Axe().run(tab).response["violations"]
        bad = [(each["id"], each["nodes"][0]["html"][:200]) for each in found if each["impact"] in SERIOUS]
        assert bad == [], (page, width, scheme)


def test_hostile_names_and_captions_run_nothing(opened, reading):
    tab = opened(reading)
    for _ in range(12):
        tab.keyboard.press("Enter")
        tab.wait_for_timeout(60)
        tab.keyboard.press("Escape")
        tab.keyboard.press("ArrowRight")
    for page in PAGES:
        tab.goto(f"http://127.0.0.1:{reading.port}/{reading.secrets.prefix}/{page.name}")
        tab.wait_for_timeout(300)
        assert tab.title() != "broken" and tab.query_selector("img[onerror], script:not([src])") is None


def test_images_are_decided_about_from_the_keyboard_alone(opened, desk, root):
    first, second = list(desk.ids())[:2]
    tab = opened(desk)
    tab.keyboard.press("d")
    written(tab)
    assert decided(desk, first, "keep") is False
    fresh(tab)
    tab.keyboard.press("Control+z")
    until(tab, "document.getElementById('saved').textContent.startsWith('undone')")
    assert decided(desk, first, "keep") is True
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    for keys, field, value in (
        (["a", "2"], "manual_anchor", "top"),
        (["r", "3", "Enter"], "manual_repeats", 3.0),
        (["t", *"red scarf", "Enter"], "manual_edits", [["add", "red scarf"]]),
    ):
        fresh(tab)
        for key in keys:
            tab.keyboard.press(key if key != " " else "Space")
            tab.wait_for_timeout(30)
        written(tab)
        assert decided(desk, second, field) == value
    fresh(tab)
    tab.keyboard.press("e")
    tab.wait_for_selector("#question textarea")
    tab.keyboard.press("Control+a")
    tab.keyboard.type("by hand, <i>x</i>")
    tab.keyboard.press("Enter")
    written(tab)
    assert caption_file(root, second).read_text(encoding="utf-8") == "by hand, <i>x</i>"
    run("curate", root)
    assert caption_file(root, second).read_text(encoding="utf-8") == "by hand, <i>x</i>"


def test_letters_in_a_field_are_text_and_no_decision(opened, desk):
    tab = opened(desk)
    runs = desk.desk.read(lambda manifest: len(manifest.runs()))
    tab.keyboard.press("/")
    tab.keyboard.type("kdbmart 123")
    tab.wait_for_timeout(300)
    assert tab.input_value("#query") == "kdbmart 123"
    assert desk.desk.read(lambda manifest: len(manifest.runs())) == runs


def test_a_question_is_typed_and_its_slips_are_named(opened, reading):
    tab = opened(reading)
    tab.keyboard.press("/")
    tab.keyboard.type("verdict:dropped")
    tab.keyboard.press("Enter")
    until(tab, "document.getElementById('count').textContent === '2 images'")
    assert tab.locator(".cell:visible").count() == 2 and "q=verdict" in tab.url
    tab.keyboard.press("/")
    tab.fill("#query", "concpt:artists")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#query[aria-invalid=true]")
    assert "concept:" in tab.inner_text("#means")


def test_the_help_lists_keys_that_work(opened, reading):
    tab = opened(reading)
    tab.keyboard.press("?")
    tab.wait_for_selector("#keys[open]")
    said = tab.inner_text("#keys-list")
    assert "drop: it stays in the set" in said and "undo your last decision" in said and "object" not in said
    tab.keyboard.press("Escape")
    assert tab.query_selector("#keys[open]") is None


def test_a_tag_is_answered_yes_and_no_over_all_images(opened, desk, root):
    tab = opened(desk, "tags?tag=smile")
    tab.wait_for_selector(".cell .name")
    numbers = [
        int(each)
        for each in tab.evaluate("[...document.querySelectorAll('.cell:not([hidden])')].map(n => n.dataset.place)")
    ]
    assert numbers[0] == 0
    found = desk.get("api/tag?tag=smile")["images"]
    path, had = desk.desk.path_of(found[0][0]), found[0][2]
    tab.keyboard.press("n" if had else "y")
    written(tab)
    assert ("smile" in caption_file(root, path).read_text(encoding="utf-8")) is not had
    assert tab.get_attribute("#wall", "aria-activedescendant") == "cell-1", "and on to the next"


def test_every_proposal_is_settled_from_the_keyboard(opened, desk):
    tab = opened(desk, "proposals")
    tab.wait_for_selector(".proposal")
    for _ in range(60):
        left = len(desk.get("api/proposals")["proposals"])
        if not left:
            break
        fresh(tab)
        tab.keyboard.press("1" if left % 2 else "0")
        written(tab)
        assert len(desk.get("api/proposals")["proposals"]) == left - 1
        tab.wait_for_timeout(80)
    assert "Nothing is left to settle" in tab.inner_text("#left")


def test_captions_are_written_one_below_the_other_and_a_tag_is_replaced_after_a_look(opened, desk, root):
    first, second = list(desk.ids("verdict:kept"))[:2]
    tab = opened(desk, "captions")
    tab.wait_for_selector("textarea")
    tab.keyboard.press("e")
    tab.keyboard.press("Control+a")
    tab.keyboard.type("mine, smiel, <u>")
    tab.keyboard.press("Enter")
    written(tab)
    assert caption_file(root, first).read_text(encoding="utf-8") == "mine, smiel, <u>"
    fresh(tab)
    tab.locator("textarea").nth(0).focus()
    tab.keyboard.press("Control+ArrowDown")
    tab.keyboard.press("End")
    tab.keyboard.type(", not saved")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("r")
    tab.keyboard.type("smiel")
    tab.wait_for_timeout(300)
    tab.keyboard.press("Enter")
    tab.keyboard.type("smile")
    tab.wait_for_timeout(300)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#preview:not([hidden]) del")
    assert "smiel → smile: 1 caption" in tab.inner_text("#preview")
    tab.keyboard.press("Enter")
    written(tab)
    assert caption_file(root, first).read_text(encoding="utf-8") == "mine, smile, <u>"
    tab.wait_for_timeout(500)
    assert tab.locator("textarea").nth(1).input_value().endswith(", not saved"), "what is being written stays"
    assert "not saved" not in caption_file(root, second).read_text(encoding="utf-8")


def test_a_second_tab_sees_what_the_first_decided_and_a_conflict_is_settled(opened, desk):
    path = next(iter(desk.ids()))
    one = opened(desk)
    other = opened(desk)
    other.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    other.wait_for_timeout(2200)
    one.keyboard.press("d")
    written(one)
    other.keyboard.press("a")
    other.keyboard.press("2")
    other.wait_for_selector("#conflict[open]")
    assert path in other.inner_text("#conflict") and decided(desk, path, "manual_anchor") is None
    other.click("#conflict button[value=mine]")
    written(other)
    assert decided(desk, path, "manual_anchor") == "top" and decided(desk, path, "keep") is False


def test_a_desk_that_is_gone_is_told_and_nothing_is_lost(opened, root):
    from desks import served

    with served(root) as desk:
        tab = opened(desk)
        tab.keyboard.press("k")
        written(tab)
    until(tab, "document.getElementById('saved').textContent.includes('does not answer')", timeout=10_000)
    with Manifest.open(root) as manifest:
        assert list(manifest.values("manual_keep")) != []


def test_another_page_of_this_machine_is_refused(browser, reading):
    """A page of another port, which the browser sends the desk's cookie to, reads and writes nothing."""
    asked = []

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Cookie"))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>x</title>")

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(reading.address)
    tab.wait_for_url("**/images*")
    tab.goto(f"http://127.0.0.1:{server.server_port}/")
    base = f"http://127.0.0.1:{reading.port}/{reading.secrets.prefix}"
    runs = reading.desk.read(lambda manifest: len(manifest.runs()))
    read = tab.evaluate(
        "url => fetch(url, {credentials: 'include'}).then(r => r.status, () => 'refused')", f"{base}/api/version"
    )
    wrote = tab.evaluate(
        """([url, secret]) => fetch(url, {method: 'POST', credentials: 'include', body: '{}',
           headers: {'Content-Type': 'application/json', 'X-Prep-Desk': secret}}).then(r => r.status, () => 'refused')""",
        [f"{base}/api/undo", reading.secrets.writing],
    )
    shown = tab.evaluate(
        """url => new Promise(done => {
               const image = new Image();
               image.onload = () => done('shown');
               image.onerror = () => done('refused');
               image.src = url;
           })""",
        f"{base}/thumb/{reading.desk.snapshot().images[0].content}.webp",
    )
    assert (read, wrote, shown) == ("refused", "refused", "refused")
    assert any(cookie and "prep-desk" in cookie for cookie in asked), "the cookie alone would have protected nothing"
    assert reading.desk.read(lambda manifest: len(manifest.runs())) == runs
    context.close()
    server.shutdown()


def test_twenty_thousand_images_are_a_few_nodes_and_every_key_leads_to_its_image(opened, tmp_path):
    """What does not depend on the machine's speed; `tests/benchmarks/desk.py` tells the seconds."""
    from desks import served

    root = tmp_path / "large"
    with Manifest.open(root, create=True) as manifest, manifest.transaction():
        run_id = manifest.begin_run("flatten", {})
        manifest.put_images(
            (
                Image(f"images/c/{number:05}.png", "c", f"{number}", f"{number:064x}", 1, "copy")
                for number in range(20_000)
            ),
            run_id,
        )
        manifest.finish_run(run_id, {})
    with served(root) as desk:
        tab = opened(desk)
        assert tab.inner_text("#count") == "20,000 images"

        def active() -> str:
            tab.wait_for_timeout(150)
            return tab.evaluate(
                "document.getElementById(document.getElementById('wall').getAttribute('aria-activedescendant')).getAttribute('aria-posinset')"
            )

        tab.keyboard.press("End")
        assert active() == "20000"
        tab.keyboard.press("Home")
        for _ in range(200):
            tab.keyboard.press("PageDown")
        shown = tab.evaluate("[...document.querySelectorAll('.cell:not([hidden])')].map(n => Number(n.dataset.place))")
        assert int(active()) - 1 in shown and len(shown) < 120
        tab.keyboard.press("]")
        assert tab.locator(".cell").count() < 200


def test_the_port_is_of_this_machine_alone(reading):
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        with socket.socket() as other:
            other.settimeout(2)
            assert other.connect_ex((address, reading.port)) != 0
