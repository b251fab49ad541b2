"""The live page in a real browser: it is clicked, walked by keyboard, narrowed, and lied to.

    bomf demo --out demo
    python3 scripts/check_serve.py demo target/release/bomf [--screenshots DIR]

Needs Chromium with its driver (Debian: chromium chromium-driver) and selenium, and says loudly
where there is none. Ran with Chromium 148, selenium 4.51.0, Python 3.11.
"""

import argparse
import fcntl
import http.client
import json
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

TRIALS = 10_000
MOST_SECONDS = 2.0
NARROW = 360


def skipped(why: str) -> None:
    print(f"\n******** SKIPPED: the live page in a browser: {why} ********\n", file=sys.stderr)
    sys.exit(0)


try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    skipped("selenium is not installed")


class Server:
    """`bomf serve` on a free port."""

    def __init__(self, bomf: str, folder: Path):
        command = [bomf, "serve", str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=10) == 0, "Ctrl-C ends it well"


def browser(profile: str):
    options = webdriver.ChromeOptions()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        skipped("Chromium or its driver is not there")
    options.binary_location = chromium
    for flag in [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--hide-scrollbars", "--window-size=1280,900",
    ]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def ready(page) -> None:
    WebDriverWait(page, 20).until(lambda p: p.execute_script("return 'ready' in document.documentElement.dataset"))


def silent(page) -> None:
    """No error of a script and no breach of the page's policy."""
    told = [e for e in page.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
    assert not told, told


def active(page) -> dict:
    return page.execute_script(
        "const e = document.activeElement;"
        "return {k: e.dataset.k, role: e.getAttribute('role'), label: e.getAttribute('aria-label'), tag: e.tagName}"
    )


def picks_by_pointer_and_keys(page) -> None:
    points = page.find_elements(By.CSS_SELECTOR, "#fig-front [data-k]")
    assert len(points) > 1, "the demo's front has points"
    assert page.find_element(By.CSS_SELECTOR, "#pick .hint").is_displayed()
    page.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", points[0])
    title = page.find_element(By.CSS_SELECTOR, "#pick h3").text
    assert title == "Point 1 of the front", title
    command = page.find_element(By.CSS_SELECTOR, "#pick .command code").text
    assert command.startswith("bomf pick ") and "--point 1 --out " in command, command
    weights = [float(e.text) for e in page.find_elements(By.CSS_SELECTOR, "#pick li span:last-child")]
    assert abs(sum(weights) - 1) < 0.01, weights

    # By keyboard alone: Tab comes to the front, arrows walk, Enter picks.
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(40):
        page.switch_to.active_element.send_keys(Keys.TAB)
        if active(page)["k"] is not None:
            break
    at = active(page)
    assert at["k"] is not None and at["role"] == "button", at
    assert at["label"].startswith("front point") or "chosen mixture" in at["label"], at
    page.switch_to.active_element.send_keys(Keys.END)
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    k = int(active(page)["k"])
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.find_element(By.CSS_SELECTOR, "#pick h3").text == f"Point {k + 1} of the front"
    assert page.find_element(By.ID, "tip").is_displayed()
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.find_element(By.ID, "tip").is_displayed()
    stops = page.execute_script("return document.querySelectorAll('#fig-front [data-k][tabindex=\"0\"]').length")
    assert stops == 1, "one stop of the Tab key for all points"


def fits(page, width: int) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    wide = page.execute_script(
        "const w = document.documentElement.clientWidth;"
        "return [document.documentElement.scrollWidth, w, [...document.querySelectorAll('main *')]"
        ".filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > w + 1)"
        ".map(e => e.tagName + '.' + e.className).slice(0, 5)]"
    )
    assert wide[0] <= wide[1] and not wide[2], wide


def shot(page, folder, name: str, width: int = 1180, height: int = 1500, dark: bool = False) -> None:
    if not folder:
        return
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    page.execute_script("window.scrollTo(0, 0)")
    time.sleep(0.3)
    page.save_screenshot(str(Path(folder, name)))


def paper(page, scheme: str) -> str:
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    return page.execute_script("return getComputedStyle(document.body).backgroundColor")


def refuses(server: Server) -> None:
    def status(path: str, headers: dict, method: str = "GET") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status

    own = {"Host": f"127.0.0.1:{server.port}"}
    assert status("/", own) == 200
    assert status("/", {"Host": "evil.example"}) == 421
    assert status("/live", {**own, "Origin": "http://evil.example"}) == 403
    assert status("/live", {**own, "Sec-Fetch-Site": "cross-site"}) == 403
    assert status("/", own, "POST") == 405
    for path in ["/../study.db", "/%2e%2e/study.db", "/..%2fstudy.db", "/study.db", "/recipe.yaml", "//etc/passwd", "/live.js%00"]:
        assert status(path, own) in (400, 404), path
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"GET /\0/../study.db HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " not in raw.recv(100)


class Foreign(BaseHTTPRequestHandler):
    """A page of someone else's."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>foreign</title>")

    def log_message(self, *_):
        pass


def keeps_foreign_pages_out(page, server: Server) -> None:
    foreign = HTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=foreign.serve_forever, daemon=True).start()
    page.get(f"http://127.0.0.1:{foreign.server_port}/")
    read = page.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "fetch(arguments[0] + 'live').then(a => a.text()).then(t => done('read ' + t), e => done('refused'))",
        server.url,
    )
    assert read == "refused", read
    # Not even blindly, and in no frame.
    blind = page.execute_async_script(
        "const done = arguments[arguments.length - 1], frame = document.createElement('iframe');"
        "frame.onload = () => { try { done(frame.contentDocument ? 'readable' : 'opaque') } catch { done('opaque') } };"
        "frame.src = arguments[0]; document.body.append(frame)",
        server.url,
    )
    assert blind == "opaque", blind
    page.get_log("browser")
    foreign.shutdown()


def large(demo: Path, to: Path) -> None:
    """A run with thousands of trials and of mixtures, made from the demo's."""
    draw = random.Random(0)
    to.mkdir()
    shutil.copy(demo / "recipe.yaml", to)
    source, target = sqlite3.connect(demo / "study.db"), sqlite3.connect(to / "study.db")
    source.backup(target)
    target.execute("DELETE FROM trial_value")
    target.execute("DELETE FROM trial")
    lines = []
    for number in range(TRIALS):
        rate, batch = 10 ** draw.uniform(-4, -3.22), draw.randint(12, 32)
        value = 0.8 - (abs(rate - 3e-4) * 500) ** 2 - batch * 1e-3 + draw.gauss(0, 0.01)
        parameters = json.dumps({"learning_rate": rate, "batch_size": batch})
        scores = {"loss": 1.2 - value, "accuracy": value}
        failed = number % 97 == 0
        state = "failed" if failed else "complete"
        row = (number, parameters, state, "{}" if failed else json.dumps(scores), None if failed else value, 300, 4.0)
        target.execute("INSERT INTO trial VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for position in range(0 if failed else 6):
            part = (position + 1) / 6
            own = json.dumps({"loss": 1.5 - value * part, "accuracy": value * part**0.5})
            target.execute("INSERT INTO trial_value VALUES (?, ?, ?, ?, ?)", (number, position, 50 * position + 50, 1.0, own))
        event = {"stage": "stage1", "trial": number, "parameters": json.loads(parameters), "state": state}
        lines.append({**event, "scores": {} if failed else scores, "step": 300, "seconds": 4.0})
    target.commit()
    target.close()
    events = [json.loads(line) for line in (demo / "trials.jsonl").read_text().splitlines()]
    lines += [e for e in events if e["stage"] == "finetune"]
    mixtures = [e for e in events if e["stage"] == "stage2"]
    lines += mixtures
    members = len(mixtures[0]["weights"])
    for number in range(TRIALS - len(mixtures)):
        weights = [draw.expovariate(1) for _ in range(members)]
        weights = [w / sum(weights) for w in weights]
        loss = 0.55 + abs(draw.gauss(0, 0.05))
        scores = {"loss": loss, "accuracy": 0.83 - 0.3 * (loss - 0.55) ** 0.5 - abs(draw.gauss(0, 0.01))}
        method = "bomf" if number % 2 else "random_simplex"
        event = {"stage": "stage2", "method": method, "evaluation": 100 + number, "weights": weights}
        lines.append({**event, "state": "complete", "scores": scores, "seconds": 0.2})
    (to / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def opens_fast(page, bomf: str, demo: Path, scratch: Path, shots) -> None:
    folder = scratch / "large"
    large(demo, folder)
    with Server(bomf, folder) as server:
        took = []
        for _ in range(2):
            page.get("about:blank")
            start = time.monotonic()
            page.get(server.url)
            ready(page)
            # Two frames: what is there has been drawn.
            page.execute_async_script(
                "const done = arguments[arguments.length - 1]; requestAnimationFrame(() => requestAnimationFrame(done))"
            )
            took.append(time.monotonic() - start)
        size = len(page.page_source) / 1e6
        print(f"{TRIALS} trials and {TRIALS} mixtures: first opened in {took[0]:.2f} s, again in {took[1]:.2f} s, {size:.2f} MB")
        shot(page, shots, "large.png", height=4200)
        assert took[0] < MOST_SECONDS, took
        silent(page)


def follows(page, bomf: str, demo: Path, scratch: Path, shots) -> None:
    """From before the run begins, through a torn line, without a reload."""
    folder = scratch / "growing"
    lines = (demo / "trials.jsonl").read_text().splitlines(keepends=True)
    stages = [json.loads(line)["stage"] for line in lines]
    with Server(bomf, folder) as server:
        page.get(server.url)
        ready(page)

        def waits(script: str) -> None:
            WebDriverWait(page, 20).until(lambda p: p.execute_script("return " + script))

        waits("document.querySelector('.standing').textContent === 'not begun'")
        page.execute_script("window.same = true")
        folder.mkdir()
        shutil.copy(demo / "recipe.yaml", folder)
        journal = (folder / "trials.jsonl").open("w")

        def write(text: str) -> None:
            journal.write(text)
            journal.flush()

        lock = (folder / ".bomf.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        first = stages.index("finetune")
        write("".join(lines[:first]) + lines[first][:20])
        waits("document.querySelectorAll('#fig-stage1 .mark').length > 0")
        assert not page.find_elements(By.ID, "fig-curves"), "the torn line counts for nothing"
        second = stages.index("stage2")
        write(lines[first][20:] + "".join(lines[first + 1 : second + 20]))
        waits("document.querySelector('#fig-front') && document.querySelector('#fig-curves')")
        mark = page.find_element(By.CSS_SELECTOR, "#fig-front [data-k='0']")
        page.execute_script("arguments[0].focus(); arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", mark)
        before = page.find_element(By.ID, "pick").text
        assert "once the run has ended" in before, before
        shot(page, shots, "running.png", height=2600)
        write(lines[second + 20])
        waits(f"document.querySelector('#status .parts').textContent.includes('{len(lines[second:second + 21])}')")
        assert page.find_elements(By.CSS_SELECTOR, "#pick h3"), "what is picked stays picked"
        write("".join(lines[second + 21 :]))
        lock.close()
        waits("document.querySelector('.standing').textContent === 'stopped'")
        assert "bomf resume" in page.find_element(By.CSS_SELECTOR, "#status .command").text
        shutil.copy(demo / "results.json", folder)
        waits("document.querySelector('.standing').textContent === 'finished'")
        assert page.execute_script("return window.same"), "it was never loaded again"
        silent(page)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("bomf", nargs="?", default="bomf")
    parser.add_argument("--screenshots")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        page = browser(str(scratch / "profile"))
        try:
            with Server(args.bomf, args.run) as server:
                page.get(server.url)
                ready(page)
                for part in ["status", "front", "search", "weights", "training", "stage1"]:
                    assert page.find_element(By.ID, part).text, part
                picks_by_pointer_and_keys(page)
                silent(page)
                shot(page, args.screenshots, "light.png", height=5200)
                shot(page, args.screenshots, "dark.png", height=5200, dark=True)
                assert paper(page, "light") != paper(page, "dark")
                fits(page, NARROW)
                if args.screenshots:
                    page.save_screenshot(str(Path(args.screenshots, "narrow.png")))
                page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
                refuses(server)
                keeps_foreign_pages_out(page, server)
            follows(page, args.bomf, args.run, scratch, args.screenshots)
            opens_fast(page, args.bomf, args.run, scratch, args.screenshots)
        finally:
            page.quit()
    print("the live page holds")


if __name__ == "__main__":
    main()
