"""A real browser without a window, driven over WebDriver's plain HTTP.

Debian's `chromium` and `chromium-driver`; nothing but Python's own library.
"""

import http.client
import json
import shutil
import subprocess
import tempfile

from member import eventually, free_ports

CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
SECONDS_MAX = 60


class Browser:
    """One browser with a profile of its own and one page in it."""

    def __init__(self, width=1200, height=900, dark=False):
        self.size, self.dark = (width, height), dark
        self.profile = self.driver = self.session = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        try:
            if self.session:
                self.send("DELETE", "")
        finally:
            if self.driver:
                self.driver.kill()
                self.driver.wait()
            if self.profile:
                # A browser that is still ending may write meanwhile.
                shutil.rmtree(self.profile, ignore_errors=True)

    def start(self):
        command = shutil.which("chromedriver")
        if not command or not shutil.which("chromium"):
            raise AssertionError(
                "chromium or its driver is missing: the page is tested in a real browser. "
                "Install them (Debian: apt install chromium chromium-driver)."
            )
        self.profile = tempfile.mkdtemp(prefix="coord-browser-")
        [self.port] = free_ports(1)
        self.driver = subprocess.Popen(
            [command, f"--port={self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        eventually("the driver listens", self.listens)
        arguments = [*CHROMIUM, f"--user-data-dir={self.profile}", "--hide-scrollbars"]
        if self.dark:
            arguments.append("--force-dark-mode")
        options = {"binary": shutil.which("chromium"), "args": arguments}
        wanted = {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }}
        self.session = self.raw("POST", "/session", {"capabilities": wanted})["sessionId"]
        # Also narrower than a window may be.
        width, height = self.size
        self.devtools("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700,
        })
        self.prefer("dark" if self.dark else "light")
        return self

    def listens(self):
        try:
            return self.raw("GET", "/status")["ready"]
        except OSError:
            return False

    def raw(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        try:
            text = None if method == "GET" else json.dumps(body or {})
            connection.request(method, path, text)
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{answer['error']}: {answer['message']}")
        return answer

    def send(self, method, path, body=None):
        return self.raw(method, f"/session/{self.session}{path}", body)

    def devtools(self, command, parameters):
        body = {"cmd": command, "params": parameters}
        return self.send("POST", "/goog/cdp/execute", body)

    def prefer(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", {"features": features})

    def open(self, address):
        self.send("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """What a script returns; it finds its arguments in `arguments`."""
        return self.send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys):
        """Keys, one after the other, to whatever has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        body = {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}
        self.send("POST", "/actions", body)

    def text(self, selector="body"):
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return self.run(script, selector)

    def shows(self, text, selector="body", seconds=30.0):
        """Waits until a part of the page has this text."""
        def look():
            return text in self.text(selector)
        try:
            eventually("", look, seconds)
        except AssertionError:
            raise AssertionError(f"{text!r} never showed in {self.text(selector)!r}") from None

    def follow(self, words):
        """Clicks the link of these words, once it is there."""
        script = """
            const link = [...document.querySelectorAll("a")].find((a) => a.innerText === arguments[0]);
            link?.click();
            return Boolean(link);
        """
        eventually(f"there is a link {words!r}", lambda: self.run(script, words))

    def complaints(self):
        """What the browser had to complain about since it was asked last."""
        entries = self.send("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def picture(self):
        """The page as PNG, in base64."""
        return self.send("GET", "/screenshot")
